using System.Runtime.CompilerServices;
using KernelAD.Graph;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// A matrix product and what becomes of it before it is stored: y = activation(product + bias) + residual, or activation(product + bias + residual).
/// </summary>
internal sealed unsafe class Epilogue
{
    // Rows of the product that are finished together: enough for the activation's long chains of operations to overlap, few enough for the first-level cache.
    private const int ProductTiles = 16;

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

    /// <summary>Floats of scratch memory that <see cref="Multiply"/> takes for a product in one section.</summary>
    public static int ProductFloats => ProductRows * SimdTier.PanelColumns;

    private static int ProductRows => ProductTiles * SimdTier.TileRows;

    /// <summary>
    /// Multiplies rows of a left operand by a panel, or by a section of its K; with the last section, finishes and stores them.
    /// </summary>
    /// <param name="left">The left operand (of the section).</param>
    /// <param name="rows">Its rows.</param>
    /// <param name="weights">The right operand with its bias.</param>
    /// <param name="panel">Which panel of it is multiplied.</param>
    /// <param name="right">Where that (or its section) is.</param>
    /// <param name="first">Whether it is the first section.</param>
    /// <param name="last">Whether it is the last one.</param>
    /// <param name="product">Scratch memory: <see cref="ProductFloats"/>; with several sections what all of them add up to, whole tiles of rows of
    /// <see cref="SimdTier.PanelColumns"/> floats.</param>
    /// <param name="targets">Where each row of the result begins: whole tiles of pointers, those of rows that do not matter to anywhere.</param>
    /// <param name="residual">Where the first row's residual begins; null for none.</param>
    /// <param name="residualStride">Floats from one row of the residual to the next.</param>
    /// <param name="next">What will be needed next.</param>
    public void Multiply<TSimd, TVector, TLeft>(
        in TLeft left,
        int rows,
        PackedWeights weights,
        int panel,
        float* right,
        bool first,
        bool last,
        float* product,
        float** targets,
        float* residual,
        long residualStride,
        byte* next)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TLeft : struct, ILeftOperand
    {
        int stored = 0;
        if (last && IsSimple(weights, panel))
        {
            int rest = rows % SimdTier.TileRows;
            stored = Gemm.IsHeight(rest) ? rows : rows - rest;
            if (first)
                MultiplyAndStore<TSimd, TVector, TLeft, OneSection>(in left, stored, weights, panel, right, targets, residual, residualStride, product, next);
            else
                MultiplyAndStore<TSimd, TVector, TLeft, LastSection>(in left, stored, weights, panel, right, targets, residual, residualStride, product, next);
        }

        for (int row = stored; row < rows; row += ProductRows)
        {
            int count = Math.Min(ProductRows, rows - row);
            float* part = first && last ? product : product + (row * SimdTier.PanelColumns);
            byte* fetched = next + (row / SimdTier.TileRows * Gemm.PrefetchedPerTile(in left));
            if (first)
            {
                ProductStore<TSimd, TVector> store = new(
                    part, SimdTier.PanelColumns, TSimd.Lanes, last ? targets + row : null, Offset(weights, panel), VectorStride<TSimd, TVector>());
                Gemm.Multiply<TSimd, TVector, TLeft, ProductStore<TSimd, TVector>>(in left, row, count, right, in store, fetched);
            }
            else
            {
                SumStore<TSimd, TVector> store = new(part, SimdTier.PanelColumns, TSimd.Lanes);
                Gemm.Multiply<TSimd, TVector, TLeft, SumStore<TSimd, TVector>>(in left, row, count, right, in store, fetched);
            }

            if (last)
                Store<TSimd, TVector>(weights, panel, part, count, targets + row, residual == null ? null : residual + (row * residualStride), residualStride);
        }
    }

    /// <summary>Whether a panel's part of the result can be stored from the kernel's registers.</summary>
    private bool IsSimple(PackedWeights weights, int panel) =>
        _activation is Activation.None or Activation.Relu && (panel + 1) * SimdTier.PanelColumns <= weights.N;

    /// <summary>Floats from where a row of the result begins to a panel's first column.</summary>
    private nint Offset(PackedWeights weights, int panel)
    {
        int column = panel * SimdTier.PanelColumns;
        return (nint)(_rowTiles ? RowTiles.Index(0, column, weights.N) : column);
    }

    /// <summary>Floats from a panel's first vector of a row of the result to the second.</summary>
    private nint VectorStride<TSimd, TVector>()
        where TSimd : ISimd<TVector>
        where TVector : struct =>
        _rowTiles && TSimd.Lanes == RowTiles.BlockColumns ? SimdTier.TileRows * RowTiles.BlockColumns : TSimd.Lanes;

    /// <summary>Multiplies rows by a panel and stores the result from the kernel's registers.</summary>
    private void MultiplyAndStore<TSimd, TVector, TLeft, TSections>(
        in TLeft left,
        int rows,
        PackedWeights weights,
        int panel,
        float* right,
        float** targets,
        float* residual,
        long residualStride,
        float* sum,
        byte* next)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TLeft : struct, ILeftOperand
        where TSections : struct, ISections
    {
        int column = panel * SimdTier.PanelColumns;
        nint offset = Offset(weights, panel), vectorStride = VectorStride<TSimd, TVector>();
        float relu = _activation == Activation.Relu ? 0 : float.NegativeInfinity;
        if (residual == null)
        {
            ResultStore<TSimd, TVector, TSections> result = new(weights.Bias + column, targets, offset, vectorStride, relu, sum);
            Gemm.Multiply<TSimd, TVector, TLeft, ResultStore<TSimd, TVector, TSections>>(in left, 0, rows, right, in result, next);
            return;
        }

        ResidualStore<TSimd, TVector, TSections> total = new(
            weights.Bias + column,
            targets,
            offset,
            vectorStride,
            _activateSum ? float.NegativeInfinity : relu,
            _activateSum ? relu : float.NegativeInfinity,
            residual + column,
            (nint)residualStride,
            sum);
        Gemm.Multiply<TSimd, TVector, TLeft, ResidualStore<TSimd, TVector, TSections>>(in left, 0, rows, right, in total, next);
    }

    /// <summary>Finishes rows of a panel's product and stores what lies within the result.</summary>
    /// <param name="weights">The product's right operand with its bias.</param>
    /// <param name="panel">Which panel of it was multiplied.</param>
    /// <param name="product">The product, rows of <see cref="SimdTier.PanelColumns"/> floats.</param>
    /// <param name="rows">Their number.</param>
    /// <param name="targets">Where each row of the result begins.</param>
    /// <param name="residual">Where the first row's residual begins; null for none.</param>
    /// <param name="residualStride">Floats from one row of the residual to the next.</param>
    private void Store<TSimd, TVector>(
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
            TVector bias = TSimd.Load(weights.Bias + column);
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
