using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using KernelAD.Graph;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Y = residual + activation(X·Wᵀ + bias): X [M, K] row-major or in <see cref="RowTiles"/>, W packed, bias and residual optional, residual [M, N] row-major and
/// possibly the same memory as Y, Y [M, N] row-major or in row tiles. A gate [images, K] scales the columns of each picture's rows of X; where there are more
/// rows than output features, it is less work to scale the weights instead, (X·diag g)·Wᵀ = X·(W·diag g)ᵀ, a panel at a time just before it is multiplied.
/// </summary>
internal sealed unsafe class LinearStep : CpuStep
{
    // What a part reads again and again has to stay in the second-level cache: a block of X rows, and beside it one panel of W.
    private const long RowBlockBytes = 256 * 1024;

    // Longer rows are multiplied in sections of about this many columns: a tile's section stays in the first-level cache, and more rows fit into a
    // block. Sections depend on K alone, so that the order of additions is the same for every matrix.
    private const int SectionColumns = 768;

    // Multiply-adds of a part, about: long enough for handing it out to cost nothing, short enough for an even load.
    private const long PartWork = 12_000_000;
    private const int FewestParts = 12;

    private readonly PackedWeights _weights;
    private readonly BufferRef _x;
    private readonly BufferRef _y;
    private readonly BufferRef? _residual;
    private readonly bool _xRowTiles;
    private readonly bool _yRowTiles;
    private readonly BufferRef? _gate;
    private readonly Epilogue _epilogue;
    private readonly int _rows;
    private readonly int _tiles;
    private readonly int _rowBlocks;
    private readonly int _panelGroups;
    private readonly bool _rowsOuter;
    private readonly int _section;

    /// <summary>Creates the step.</summary>
    /// <param name="m">Rows.</param>
    /// <param name="weights">W and bias.</param>
    /// <param name="x">[M, K]; of a buffer in row tiles the row stride is not used.</param>
    /// <param name="y">[M, N]; likewise.</param>
    /// <param name="yRowTiles">Whether Y is written in row tiles.</param>
    /// <param name="activation">What is applied to X·Wᵀ + bias.</param>
    /// <param name="residual">[M, N] row-major, added last.</param>
    /// <param name="xRowTiles">Whether X is in row tiles.</param>
    /// <param name="gate">[images, K]; X and Y are then row-major.</param>
    /// <param name="images">Pictures that the rows belong to, if there is a gate.</param>
    public LinearStep(
        int m,
        PackedWeights weights,
        BufferRef x,
        BufferRef y,
        bool yRowTiles = false,
        Activation activation = Activation.None,
        BufferRef? residual = null,
        bool xRowTiles = true,
        BufferRef? gate = null,
        int images = 1)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(m);
        if ((images > 1 || gate is not null) && (xRowTiles || yRowTiles))
        {
            throw new ArgumentException("a gated product is row-major", nameof(gate));
        }

        M = m;
        Images = images;
        _gate = gate;
        _rows = m / images;
        _weights = weights;
        _x = x;
        _y = y;
        _xRowTiles = xRowTiles;
        _yRowTiles = yRowTiles;
        _residual = residual;
        _epilogue = new Epilogue(yRowTiles, activation, activateSum: false);

        _tiles = Split.Most(_rows, SimdTier.TileRows);
        int blocks = (weights.K + RowTiles.BlockColumns - 1) / RowTiles.BlockColumns;
        int sections = (weights.K + SectionColumns - 1) / SectionColumns;
        _section = (blocks + sections - 1) / sections * RowTiles.BlockColumns;
        long tileBytes = RowTiles.Size(1, Math.Min(_section, weights.K)) * sizeof(float);
        int blockTiles = (int)Math.Clamp(RowBlockBytes / tileBytes, 1, _tiles);
        _rowBlocks = (_tiles + blockTiles - 1) / blockTiles;
        long panelWork = (long)blockTiles * SimdTier.TileRows * SimdTier.PanelColumns * weights.K;
        long groupPanels = Math.Max(1, Math.Min(PartWork / panelWork, (long)weights.Panels * _rowBlocks / FewestParts));
        _panelGroups = (int)((weights.Panels + groupPanels - 1) / groupPanels);

        // Of X and W the larger is read from memory once, the smaller again and again.
        _rowsOuter = _rows > weights.N;
    }

    /// <summary>Rows.</summary>
    public int M { get; }

    /// <summary>Pictures that the rows belong to.</summary>
    public int Images { get; }

    /// <summary>Output features.</summary>
    public int N => _weights.N;

    /// <summary>Input features.</summary>
    public int K => _weights.K;

    /// <inheritdoc/>
    public override int Parts => Images * _rowBlocks * _panelGroups;

    // Tiles of the product, then a section of a gated panel.
    /// <inheritdoc/>
    public override int ScratchBytes => (ProductsFloats + (_gate is null ? 0 : Math.Min(_section, K) * SimdTier.PanelColumns)) * sizeof(float);

    private static int ProductFloats => SimdTier.TileRows * SimdTier.PanelColumns;

    private int ProductsFloats => ProductFloats * (_section >= K ? 1 : Split.Most(_tiles, _rowBlocks) * Split.Most(_weights.Panels, _panelGroups));

    /// <inheritdoc/>
    public override void Run(in RunContext run, int part, byte* scratch)
    {
        if (Vector512.IsHardwareAccelerated)
            Run<Simd512, Vector512<float>>(run, part, (float*)scratch);
        else if (Vector256.IsHardwareAccelerated)
            Run<Simd256, Vector256<float>>(run, part, (float*)scratch);
        else
            Run<Simd128, Vector128<float>>(run, part, (float*)scratch);
    }

    private void Run<TSimd, TVector>(in RunContext run, int part, float* products)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        (int image, part) = Math.DivRem(part, _rowBlocks * _panelGroups);
        (int rowBlock, int panelGroup) = _rowsOuter ? (part / _panelGroups, part % _panelGroups) : (part % _rowBlocks, part / _rowBlocks);
        (int firstTile, int endTile) = Split.Range(_tiles, _rowBlocks, rowBlock);
        (int firstPanel, int endPanel) = Split.Range(_weights.Panels, _panelGroups, panelGroup);
        long firstRow = (long)image * _rows;
        long residualStride = _residual.GetValueOrDefault().RowStride;
        float* x = _x.Resolve(run) + (firstRow * _x.RowStride);
        float* y = _y.Resolve(run) + (firstRow * _y.RowStride);
        float* residual = _residual is BufferRef addend ? addend.Resolve(run) + (firstRow * residualStride) : null;
        float* gate = _gate is BufferRef factors ? factors.Resolve(run) + ((long)image * K) : null;
        float* gated = products + ProductsFloats;
        float** sources = stackalloc float*[SimdTier.TileRows];
        float** targets = stackalloc float*[SimdTier.TileRows];
        long tileFloats = RowTiles.Size(1, K);
        for (int first = 0; first < K; first += _section)
        {
            int length = Math.Min(_section, K - first);
            bool last = first + length == K;
            float* product = products;
            for (int panel = firstPanel; panel < endPanel; panel++)
            {
                float* right = _weights.Panel(panel) + (first * SimdTier.PanelColumns);
                if (gate != null)
                {
                    Scale<TSimd, TVector>(right, gate + first, length, gated);
                    right = gated;
                }

                // The weights of a model exceed the caches: while this panel is multiplied with the tiles, what follows it is fetched. That is the next
                // panel, and after the last one the weights of the next layer, as a rule: they were packed in the order of the plan.
                byte* next = (byte*)(_weights.Panel(panel + 1) + (first * SimdTier.PanelColumns));
                bool simple = _epilogue.IsSimple(_weights, panel);
                for (int tile = firstTile; tile < endTile; tile++)
                {
                    int row = tile * SimdTier.TileRows;
                    int rows = Math.Min(SimdTier.TileRows, _rows - row);
                    float* added = residual == null ? null : residual + (row * residualStride);
                    if (last)
                    {
                        SetTargets(targets, y, row, rows);
                        _epilogue.Prefetch(_weights, panel, rows, targets, added, residualStride);
                    }

                    float* left = _xRowTiles ? x + (tile * tileFloats) + (first * SimdTier.TileRows) : x + first;
                    if (last && simple && Gemm.IsHeight(rows))
                    {
                        ResultStore<TSimd, TVector> result = _epilogue.ResultStore<TSimd, TVector>(
                            _weights, panel, first > 0 ? product : null, targets, added, residualStride);
                        Multiply<TSimd, TVector, ResultStore<TSimd, TVector>>(left, row, rows, right, length, in result, sources, next);
                    }
                    else
                    {
                        ProductStore<TSimd, TVector> sum = new(product, SimdTier.PanelColumns, TSimd.Lanes, accumulate: first > 0);
                        Multiply<TSimd, TVector, ProductStore<TSimd, TVector>>(left, row, rows, right, length, in sum, sources, next);
                        if (last)
                            _epilogue.Store<TSimd, TVector>(_weights, panel, product, rows, targets, added, residualStride);
                    }

                    next += length / RowTiles.BlockColumns * GemmKernels.PrefetchedPerBlock;
                    if (_section < K)
                        product += ProductFloats;
                }
            }
        }
    }

    /// <summary>Multiplies a section of a tile's rows, which are a row tile or begin at <paramref name="left"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Multiply<TSimd, TVector, TStore>(
        float* left, int row, int rows, float* right, int length, in TStore store, float** sources, byte* next)
        where TSimd : ISimd<TVector>
        where TVector : struct
        where TStore : struct, ITileStore<TVector>
    {
        if (_xRowTiles)
        {
            Gemm.MultiplyTile<TSimd, TVector, TStore>(rows, left, right, length, in store, next);
            return;
        }

        SetSources(sources, left, row);
        Gemm.MultiplyGathered<TSimd, TVector, TStore>(rows, sources, 0, length, 0, 1, right, in store, next);
    }

    /// <summary>Scales the rows of a panel.</summary>
    private static void Scale<TSimd, TVector>(float* panel, float* factors, int length, float* scaled)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        for (float* end = factors + length; factors < end; factors++)
        {
            TVector factor = TSimd.Broadcast(*factors);
            for (int lane = 0; lane < SimdTier.PanelColumns; lane += TSimd.Lanes, panel += TSimd.Lanes, scaled += TSimd.Lanes)
                TSimd.Store(TSimd.Multiply(TSimd.Load(panel), factor), scaled);
        }
    }

    /// <summary>Finds where the rows of a tile are; those beyond the last are the last again.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void SetSources(float** sources, float* x, int row)
    {
        for (int r = 0; r < SimdTier.TileRows; r++)
            sources[r] = x + (Math.Min(row + r, _rows - 1) * _x.RowStride);
    }

    /// <summary>Finds where the rows of a tile go.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void SetTargets(float** targets, float* y, int row, int rows)
    {
        float* target = y + (_yRowTiles ? RowTiles.Index(row, 0, N) : row * _y.RowStride);
        long stride = _yRowTiles ? RowTiles.BlockColumns : _y.RowStride;
        for (int r = 0; r < rows; r++, target += stride)
            targets[r] = target;
    }
}
