using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
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

    /// <summary>Whether a panel's part of the result can be stored from the kernel's registers, by <see cref="ResultStore"/>.</summary>
    public bool IsSimple(PackedWeights weights, int panel) =>
        _activation is Activation.None or Activation.Relu && weights.Bias != null && (panel + 1) * SimdTier.PanelColumns <= weights.N;

    /// <summary>
    /// The epilogue of a tile as a part of the kernel that computes it. The parameters are those of
    /// <see cref="Store{TSimd, TVector}(PackedWeights, int, float*, int, float**, float*, long)"/>, and the product of the sections of K before the last.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ResultStore<TSimd, TVector> ResultStore<TSimd, TVector>(
        PackedWeights weights, int panel, float* partial, float** targets, float* residual, long residualStride)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        int column = panel * SimdTier.PanelColumns;
        float relu = _activation == Activation.Relu ? 0 : float.NegativeInfinity;
        return new ResultStore<TSimd, TVector>(
            weights.Bias + column,
            targets,
            (nint)(_rowTiles ? RowTiles.Index(0, column, weights.N) : column),
            _rowTiles && TSimd.Lanes == RowTiles.BlockColumns ? SimdTier.TileRows * RowTiles.BlockColumns : TSimd.Lanes,
            _activateSum ? float.NegativeInfinity : relu,
            _activateSum ? relu : float.NegativeInfinity,
            partial,
            residual == null ? null : residual + column,
            (nint)residualStride);
    }

    /// <summary>
    /// Fetches what <see cref="Store{TSimd, TVector}(PackedWeights, int, float*, int, float**, float*, long)"/> will touch, while the tile is multiplied: no
    /// hardware follows rows that are pages apart, and stores that miss the caches queue up. The parameters are the same.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch(PackedWeights weights, int panel, int rows, float** targets, float* residual, long residualStride)
    {
        if (!Sse.IsSupported)
            return;

        int column = panel * SimdTier.PanelColumns, lastColumn = Math.Min(column + SimdTier.PanelColumns, weights.N) - 1;
        long first = _rowTiles ? RowTiles.Index(0, column, weights.N) : column;
        long last = _rowTiles ? RowTiles.Index(0, lastColumn, weights.N) : lastColumn;
        for (int r = 0; r < rows; r++)
        {
            Sse.Prefetch0(targets[r] + first);
            Sse.Prefetch0(targets[r] + last);
            if (residual != null)
            {
                Sse.Prefetch0(residual + (r * residualStride) + column);
                Sse.Prefetch0(residual + (r * residualStride) + lastColumn);
            }
        }
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
