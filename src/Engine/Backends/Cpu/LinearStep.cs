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
    // With fewer tiles of rows to a thread, an even load takes finer parts than whole tiles.
    private const int FewestThreadTiles = 4;

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
    /// <param name="threads">Threads that will share the work. The result does not depend on it.</param>
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
        int images = 1,
        int threads = 1)
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
        int blocks = Split.Most(weights.K, RowTiles.BlockColumns);
        int sections = Split.Most(weights.K, ProductBlocking.SectionColumns);
        _section = Split.Most(blocks, sections) * RowTiles.BlockColumns;
        long tileBytes = RowTiles.Size(1, Math.Min(_section, weights.K)) * sizeof(float);
        int blockTiles = (int)Math.Clamp(ProductBlocking.RowBytes / tileBytes, 1, _tiles);
        _rowBlocks = Split.Most(_tiles, blockTiles);

        // A thread that keeps to the same rows from step to step finds what it reads in its own caches.
        bool rowsByThread = threads > 1 && images == 1 && _tiles >= FewestThreadTiles * threads;
        if (rowsByThread)
            _rowBlocks = Split.Most(_rowBlocks, threads) * threads;

        long panelWork = (long)blockTiles * SimdTier.TileRows * SimdTier.PanelColumns * weights.K;
        long groupPanels = Math.Max(1, Math.Min(ProductBlocking.PartWork / panelWork, (long)weights.Panels * _rowBlocks / ProductBlocking.FewestParts));
        _panelGroups = (int)Split.Most(weights.Panels, groupPanels);

        // Otherwise, of X and W the larger is read from memory once, the smaller again and again.
        _rowsOuter = rowsByThread || _rows >= weights.N;
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

    // The product, a section of a gated panel, then pointers to a block's rows and to where they go.
    /// <inheritdoc/>
    public override int ScratchBytes => ((ProductsFloats + GatedFloats) * sizeof(float)) + (2 * BlockRows * sizeof(float*));

    private int ProductsFloats => _section >= K ? Epilogue.ProductFloats : BlockRows * SimdTier.PanelColumns * Split.Most(_weights.Panels, _panelGroups);

    private int GatedFloats => _gate is null ? 0 : Math.Min(_section, K) * SimdTier.PanelColumns;

    private int BlockRows => Split.Most(_tiles, _rowBlocks) * SimdTier.TileRows;

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
        long pictureRow = (long)image * _rows;
        long residualStride = _residual.GetValueOrDefault().RowStride;
        float* x = _x.Resolve(run) + (pictureRow * _x.RowStride);
        float* y = _y.Resolve(run) + (pictureRow * _y.RowStride);
        float* residual = _residual is BufferRef addend ? addend.Resolve(run) + (pictureRow * residualStride) : null;
        float* gate = _gate is BufferRef factors ? factors.Resolve(run) + ((long)image * K) : null;
        float* gated = products + ProductsFloats;
        float** targets = (float**)(gated + GatedFloats);
        float** sources = targets + BlockRows;
        int firstRow = firstTile * SimdTier.TileRows, rows = Math.Min(endTile * SimdTier.TileRows, _rows) - firstRow;
        SetTargets(targets, y, firstRow, rows);
        if (!_xRowTiles)
            SetSources(sources, x, firstRow, rows);
        if (residual != null)
            residual += firstRow * residualStride;
        nint tileFloats = (nint)RowTiles.Size(1, K);
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
                if (_xRowTiles)
                {
                    TiledRows left = new(x + (firstTile * tileFloats) + (first * SimdTier.TileRows), tileFloats, length);
                    _epilogue.Multiply<TSimd, TVector, TiledRows>(
                        in left, rows, _weights, panel, right, first == 0, last, product, targets, residual, residualStride, next);
                }
                else
                {
                    GatheredRows left = new(sources, first, length, 0, 1);
                    _epilogue.Multiply<TSimd, TVector, GatheredRows>(
                        in left, rows, _weights, panel, right, first == 0, last, product, targets, residual, residualStride, next);
                }

                if (_section < K)
                    product += BlockRows * SimdTier.PanelColumns;
            }
        }
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

    /// <summary>Finds where a block's rows are.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void SetSources(float** sources, float* x, int row, int rows)
    {
        long stride = _x.RowStride;
        float* source = x + (row * stride);
        for (int r = 0; r < rows; r++, source += stride)
            sources[r] = source;
        GatheredRows.FillLastTile(sources, rows);
    }

    /// <summary>Finds where a block's rows go.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void SetTargets(float** targets, float* y, int row, int rows)
    {
        long stride = _y.RowStride;
        for (int r = 0; r < rows; r++)
            targets[r] = y + (_yRowTiles ? RowTiles.Index(row + r, 0, N) : (row + r) * stride);
    }
}
