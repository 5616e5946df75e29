using System.Runtime.CompilerServices;
using KernelAD.Graph;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// What becomes of a tile of a matrix product before it is stored: y = activation(product + bias) + residual, or activation(product + bias + residual).
/// </summary>
internal sealed unsafe class Epilogue
{
    private readonly Activation _activation;
    private readonly bool _activateSum;
    private readonly bool _rowTiles;

    /// <param name="rowTiles">Whether the result is stored in row tiles.</param>
    /// <param name="activation">The activation.</param>
    /// <param name="activateSum">Whether the residual is added before it.</param>
    public Epilogue(bool rowTiles, Activation activation, bool activateSum)
    {
        _rowTiles = rowTiles;
        _activation = activation;
        _activateSum = activateSum;
    }

    /// <summary>Finishes a tile of the product and stores what lies within the result.</summary>
    /// <param name="weights">The product's right operand with its bias.</param>
    /// <param name="panel">Which panel of it was multiplied.</param>
    /// <param name="product">The tile, rows of <see cref="SimdTier.PanelColumns"/> floats.</param>
    /// <param name="rows">Rows that matter.</param>
    /// <param name="targets">Where each row of the result begins.</param>
    /// <param name="residual">Where the first row's residual begins; null for none.</param>
    /// <param name="residualStride">Floats from one row of the residual to the next.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store<TSimd, TVector>(
        PackedWeights weights, int panel, float* product, int rows, float** targets, float* residual, long residualStride)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        switch (_activation)
        {
            case Activation.Relu:
                Store<TSimd, TVector, ReluOperation>(weights, panel, product, rows, targets, residual, residualStride);
                break;
            case Activation.Gelu:
                Store<TSimd, TVector, GeluOperation>(weights, panel, product, rows, targets, residual, residualStride);
                break;
            case Activation.Swish:
                Store<TSimd, TVector, SwishOperation>(weights, panel, product, rows, targets, residual, residualStride);
                break;
            case Activation.Sigmoid:
                Store<TSimd, TVector, SigmoidOperation>(weights, panel, product, rows, targets, residual, residualStride);
                break;
            case Activation.Tanh:
                Store<TSimd, TVector, TanhOperation>(weights, panel, product, rows, targets, residual, residualStride);
                break;
            case Activation.Softplus:
                Store<TSimd, TVector, SoftplusOperation>(weights, panel, product, rows, targets, residual, residualStride);
                break;
            default:
                Store<TSimd, TVector, IdentityOperation>(weights, panel, product, rows, targets, residual, residualStride);
                break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Store<TSimd, TVector, TActivation>(
        PackedWeights weights, int panel, float* product, int rows, float** targets, float* residual, long residualStride)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TActivation : struct, IUnaryOperation
    {
        TActivation activation = default;
        bool activateSum = _activateSum;
        int column = panel * SimdTier.PanelColumns;
        int endColumn = Math.Min(column + SimdTier.PanelColumns, weights.N);
        for (; column < endColumn; column += TSimd.Lanes, product += TSimd.Lanes)
        {
            TVector bias = weights.Bias != null ? TSimd.Load(weights.Bias + column) : TSimd.Zero;
            int count = Math.Min(TSimd.Lanes, weights.N - column);
            float* source = product;
            float* added = residual + column;
            long offset = _rowTiles ? RowTiles.Index(0, column, weights.N) : column;
            for (int r = 0; r < rows; r++, source += SimdTier.PanelColumns)
            {
                TVector value = TSimd.Add(TSimd.Load(source), bias);
                if (residual == null)
                {
                    value = activation.Apply<TSimd, TVector>(value);
                }
                else
                {
                    TVector addend = count == TSimd.Lanes ? TSimd.Load(added) : TSimd.LoadFirst(added, count);
                    value = activateSum
                        ? activation.Apply<TSimd, TVector>(TSimd.Add(value, addend))
                        : TSimd.Add(activation.Apply<TSimd, TVector>(value), addend);
                    added += residualStride;
                }

                if (count == TSimd.Lanes)
                    TSimd.Store(value, targets[r] + offset);
                else
                    TSimd.StoreFirst(value, targets[r] + offset, count);
            }
        }
    }
}
