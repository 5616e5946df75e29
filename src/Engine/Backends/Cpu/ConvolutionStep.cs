using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using KernelAD.Graph;
using KernelAD.Tensors;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// Convolution of channels-last pictures (N, H, W, C), transposed ones too, as the matrix products of its <see cref="ConvolutionPhase"/>s. A part copies the
/// rows of the picture that it needs into scratch memory, zeros beyond the border included; in that copy a window's kernel row is one run of floats, which the
/// kernel reads in place: the left operand of the product is never formed.
/// </summary>
internal sealed unsafe class ConvolutionStep : CpuStep
{
    private readonly BufferRef _x;
    private readonly BufferRef _y;
    private readonly BufferRef? _residual;
    private readonly Epilogue _epilogue;
    private readonly Layout[] _layouts;
    private readonly int _height;
    private readonly int _width;
    private readonly int _channels;
    private readonly long _resultFloats;
    private readonly bool _yRowTiles;

    /// <param name="phases">The products.</param>
    /// <param name="source">Shape of the pictures, (N, H, W, C).</param>
    /// <param name="result">Shape of the results, (N, H', W', O).</param>
    /// <param name="x">(N, H, W, C), dense.</param>
    /// <param name="y">The results, dense; or the row tiles of (N·H'·W', O) if there is only one phase.</param>
    /// <param name="yRowTiles">Whether Y is written in row tiles.</param>
    /// <param name="activation">The epilogue's activation.</param>
    /// <param name="residual">What is added, like y and dense; possibly the same memory. It takes a single phase.</param>
    /// <param name="activateSum">Whether it is added before the activation.</param>
    public ConvolutionStep(
        ConvolutionPhase[] phases,
        Shape source,
        Shape result,
        BufferRef x,
        BufferRef y,
        bool yRowTiles = false,
        Activation activation = Activation.None,
        BufferRef? residual = null,
        bool activateSum = false)
    {
        if (yRowTiles && phases.Length > 1)
            throw new ArgumentException("Only a convolution in one phase can write row tiles.", nameof(yRowTiles));
        _height = source[1];
        _width = source[2];
        _channels = source[3];
        _resultFloats = result.Count / result[0];
        _x = x;
        _y = y;
        _yRowTiles = yRowTiles;
        _residual = residual;
        _epilogue = new Epilogue(yRowTiles, activation, activateSum);
        _layouts = new Layout[phases.Length];
        for (int i = 0; i < phases.Length; i++)
        {
            _layouts[i] = new Layout(phases[i], source[0], Split.Most(ProductBlocking.FewestParts, phases.Length));
            Parts += _layouts[i].Parts;
            ScratchBytes = Math.Max(ScratchBytes, _layouts[i].ScratchBytes);
        }
    }

    /// <inheritdoc/>
    public override int Parts { get; }

    /// <inheritdoc/>
    public override int ScratchBytes { get; }

    /// <inheritdoc/>
    public override void Run(in RunContext run, int part, byte* scratch)
    {
        if (Vector512.IsHardwareAccelerated)
            Run<Simd512, Vector512<float>>(run, part, scratch);
        else if (Vector256.IsHardwareAccelerated)
            Run<Simd256, Vector256<float>>(run, part, scratch);
        else
            Run<Simd128, Vector128<float>>(run, part, scratch);
    }

    private void Run<TSimd, TVector>(in RunContext run, int part, byte* scratch)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        int index = 0;
        for (; part >= _layouts[index].Parts; index++)
            part -= _layouts[index].Parts;
        Layout layout = _layouts[index];
        ConvolutionPhase phase = layout.Phase;
        (part, int panelGroup) = Math.DivRem(part, layout.PanelGroups);
        (int image, int rowBlock) = Math.DivRem(part, layout.RowBlocks);
        (int firstRow, int endRow) = Split.Range(phase.Rows, layout.RowBlocks, rowBlock);

        float* band = (float*)scratch;
        float** sources = (float**)(scratch + layout.SourcesOffset);
        float** targets = (float**)(scratch + layout.TargetsOffset);
        float* spill = (float*)(scratch + layout.SpillOffset);
        float* products = (float*)(scratch + layout.ProductsOffset);
        float* y = _y.Resolve(run) + (_yRowTiles ? 0 : image * _resultFloats);
        CopyBand(layout, _x.Resolve(run) + (image * (long)_height * _width * _channels), firstRow, endRow, band);
        SetPointers(layout, image, firstRow, endRow, band, y, spill, sources, targets);
        Multiply<TSimd, TVector>(run, layout, image, firstRow, endRow, panelGroup, sources, targets, products);

        if (phase.LastCount < phase.Weights.N)
            StoreSpilled(layout, firstRow, endRow, panelGroup, y, spill);
    }

    /// <summary>Copies what the windows of some rows of positions see.</summary>
    private void CopyBand(Layout layout, float* picture, int firstRow, int endRow, float* band)
    {
        ConvolutionPhase phase = layout.Phase;
        int top = (firstRow * phase.StepY) + phase.Top;
        int rows = ((endRow - firstRow - 1) * phase.StepY) + phase.KernelHeight;
        int leading = Math.Clamp(-phase.Left, 0, layout.BandWidth);
        int copied = Math.Max(Math.Min(phase.Left + layout.BandWidth, _width) - (phase.Left + leading), 0);
        for (int row = top; row < top + rows; row++, band += layout.BandPitch)
        {
            Span<float> target = new(band, layout.BandPitch);
            if (row < 0 || row >= _height || copied == 0)
            {
                target.Clear();
                continue;
            }

            target[..(leading * phase.Channels)].Clear();
            target[((leading + copied) * phase.Channels)..].Clear();
            float* from = picture + ((((long)row * _width) + phase.Left + leading) * _channels) + phase.FirstChannel;
            float* to = band + (leading * phase.Channels);
            if (phase.Channels == _channels)
            {
                new ReadOnlySpan<float>(from, copied * _channels).CopyTo(new Span<float>(to, copied * _channels));
                continue;
            }

            for (int pixel = 0; pixel < copied; pixel++, from += _channels, to += phase.Channels)
                new ReadOnlySpan<float>(from, phase.Channels).CopyTo(new Span<float>(to, phase.Channels));
        }
    }

    /// <summary>Finds each position's window in the band, and where its result goes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void SetPointers(Layout layout, int image, int firstRow, int endRow, float* band, float* y, float* spill, float** sources, float** targets)
    {
        ConvolutionPhase phase = layout.Phase;
        bool spills = phase.LastCount < phase.Weights.N, rowTiles = _yRowTiles;
        int columns = phase.Columns, sourceStep = phase.StepX * phase.Channels, targetStep = phase.ColumnPitch;
        int position = 0;
        for (int i = firstRow; i < endRow; i++)
        {
            float* source = band + ((long)(i - firstRow) * phase.StepY * layout.BandPitch);
            float* target = y + phase.Target + (i * phase.RowPitch);
            long flat = (((long)image * phase.Rows) + i) * columns;
            for (int j = 0; j < columns; j++, position++)
            {
                sources[position] = source;
                targets[position] = rowTiles ? y + RowTiles.Index(flat + j, 0, phase.Weights.N) : target;
                source += sourceStep;
                target += targetStep;
            }

            if (spills)
                targets[position - 1] = spill + ((i - firstRow) * phase.Weights.N);
        }

        GatheredRows.FillLastTile(sources, position);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Multiply<TSimd, TVector>(
        in RunContext run, Layout layout, int image, int firstRow, int endRow, int panelGroup, float** sources, float** targets, float* products)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        ConvolutionPhase phase = layout.Phase;
        PackedWeights weights = phase.Weights;
        int positions = (endRow - firstRow) * phase.Columns;
        int length = phase.KernelWidth * phase.Channels;
        float* residual = null;
        long residualStride = 0;
        if (_residual is BufferRef added)
        {
            residualStride = added.RowStride;
            residual = added.Resolve(run) + ((((long)image * phase.Rows) + firstRow) * phase.Columns * residualStride);
        }

        (int firstPanel, int endPanel) = Split.Range(weights.Panels, layout.PanelGroups, panelGroup);
        for (int first = 0; first < phase.KernelHeight; first += layout.Section)
        {
            int segments = Math.Min(layout.Section, phase.KernelHeight - first);
            bool last = first + segments == phase.KernelHeight;
            nint start = (nint)first * layout.BandPitch;
            float* product = products;
            for (int panel = firstPanel; panel < endPanel; panel++)
            {
                float* right = weights.Panel(panel) + ((long)first * length * SimdTier.PanelColumns);
                byte* next = (byte*)(weights.Panel(panel + 1) + ((long)first * length * SimdTier.PanelColumns));
                GatheredRows left = new(sources, start, length, layout.BandPitch, segments);
                _epilogue.Multiply<TSimd, TVector, GatheredRows>(
                    in left, positions, weights, panel, right, first == 0, last, product, targets, residual, residualStride, next);
                if (layout.Section < phase.KernelHeight)
                    product += Split.Most(positions, SimdTier.TileRows) * SimdTier.TileRows * SimdTier.PanelColumns;
            }
        }
    }

    /// <summary>Stores what lies within the result of the rows' last positions.</summary>
    private static void StoreSpilled(Layout layout, int firstRow, int endRow, int panelGroup, float* y, float* spill)
    {
        ConvolutionPhase phase = layout.Phase;
        (int firstPanel, int endPanel) = Split.Range(phase.Weights.Panels, layout.PanelGroups, panelGroup);
        int first = firstPanel * SimdTier.PanelColumns, end = Math.Min(endPanel * SimdTier.PanelColumns, phase.LastCount);
        float* target = y + phase.Target + ((phase.Columns - 1L) * phase.ColumnPitch);
        for (int i = firstRow; i < endRow && first < end; i++, spill += phase.Weights.N)
            new ReadOnlySpan<float>(spill + first, end - first).CopyTo(new Span<float>(target + (i * phase.RowPitch) + first, end - first));
    }

    /// <summary>How a phase is cut into parts, and what a part keeps in scratch memory.</summary>
    private sealed class Layout
    {
        public Layout(ConvolutionPhase phase, int images, int fewestParts)
        {
            Phase = phase;
            PackedWeights weights = phase.Weights;
            BandWidth = ((phase.Columns - 1) * phase.StepX) + phase.KernelWidth;
            BandPitch = BandWidth * phase.Channels;
            Section = Math.Clamp(ProductBlocking.SectionColumns / (phase.KernelWidth * phase.Channels), 1, phase.KernelHeight);

            // As many rows as the band has room for, but fewer where a part would have too much work, or the step too few parts.
            long bandRows = (ProductBlocking.RowBytes / (BandPitch * sizeof(float))) - phase.KernelHeight;
            long rowWork = (long)phase.Columns * weights.K * SimdTier.PanelColumns;
            long rows = Math.Clamp(Math.Min((bandRows / phase.StepY) + 1, ProductBlocking.PartWork / rowWork), 1, phase.Rows);
            int fewestBlocks = Split.Most(fewestParts, images * weights.Panels);
            RowBlocks = Math.Clamp(Math.Max((int)Split.Most(phase.Rows, rows), fewestBlocks), 1, phase.Rows);
            rows = Split.Most(phase.Rows, RowBlocks);
            long panels = Math.Clamp(ProductBlocking.PartWork / (rows * rowWork), 1, Math.Max(1, (long)weights.Panels * RowBlocks * images / fewestParts));
            PanelGroups = (int)Split.Most(weights.Panels, panels);
            Parts = images * RowBlocks * PanelGroups;

            int tiles = Split.Most((int)rows * phase.Columns, SimdTier.TileRows);
            int products = Section < phase.KernelHeight
                ? tiles * SimdTier.TileRows * SimdTier.PanelColumns * Split.Most(weights.Panels, PanelGroups)
                : Epilogue.ProductFloats;
            int band = checked((int)((((rows - 1) * phase.StepY) + phase.KernelHeight) * BandPitch * sizeof(float)));
            SourcesOffset = Aligned(band);
            TargetsOffset = SourcesOffset + Aligned(tiles * SimdTier.TileRows * sizeof(float*));
            ProductsOffset = TargetsOffset + Aligned(tiles * SimdTier.TileRows * sizeof(float*));
            SpillOffset = ProductsOffset + (products * sizeof(float));
            ScratchBytes = checked(SpillOffset + (phase.LastCount < weights.N ? (int)rows * weights.N * sizeof(float) : 0));
        }

        public ConvolutionPhase Phase { get; }

        /// <summary>Pixels of a band's row.</summary>
        public int BandWidth { get; }

        /// <summary>Floats of a band's row.</summary>
        public int BandPitch { get; }

        /// <summary>Kernel rows that are multiplied at a time.</summary>
        public int Section { get; }

        public int RowBlocks { get; }

        public int PanelGroups { get; }

        public int Parts { get; }

        public int SourcesOffset { get; }

        public int TargetsOffset { get; }

        public int ProductsOffset { get; }

        public int SpillOffset { get; }

        public int ScratchBytes { get; }

        private static int Aligned(int bytes) => (bytes + AlignedMemory.Alignment - 1) / AlignedMemory.Alignment * AlignedMemory.Alignment;
    }
}
