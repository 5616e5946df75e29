using System.Runtime.CompilerServices;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels.Tiles;

/// <summary>Where a convolution's value lies within its window.</summary>
internal struct Tap
{
    private int _distance;
    private int _flags;

    /// <summary>Loads an entry of the table.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Load(long entry)
    {
        U2 pair = Global.UInt2(entry);
        _distance = (int)pair.X;
        _flags = (int)pair.Y;
    }

    /// <summary>The value's address in a window that begins at <paramref name="window"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly long In(long window) => window + _distance;

    /// <summary>The bytes to be copied: none if the tap lies beyond the border.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly uint Bytes(int inside, uint bytes) => (inside & _flags) == _flags ? bytes : 0u;
}

/// <summary>Four windows: their beginnings as byte offsets, and which of their rows and columns lie within the map.</summary>
internal struct Windows4
{
    private uint _r0;
    private uint _r1;
    private uint _r2;
    private uint _r3;
    private int _inside0;
    private int _inside1;
    private int _inside2;
    private int _inside3;

    /// <summary>Windows first, first + step, ….</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Start(ConvolutionArguments a, int first, int step)
    {
        _r0 = Window(a, first, out _inside0);
        _r1 = Window(a, first + step, out _inside1);
        _r2 = Window(a, first + (2 * step), out _inside2);
        _r3 = Window(a, first + (3 * step), out _inside3);
    }

    /// <summary>Copies 4 bytes of each window.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Copy4<TCopy>(TCopy copy, uint target, uint targetStep, long source, Tap tap, uint bytes)
        where TCopy : struct, ICopy
    {
        long from = tap.In(source);
        copy.Copy4(target, from + _r0, tap.Bytes(_inside0, bytes));
        copy.Copy4(target + targetStep, from + _r1, tap.Bytes(_inside1, bytes));
        copy.Copy4(target + (2 * targetStep), from + _r2, tap.Bytes(_inside2, bytes));
        copy.Copy4(target + (3 * targetStep), from + _r3, tap.Bytes(_inside3, bytes));
    }

    /// <summary>Copies 16 bytes of the first two windows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void CopyLow<TCopy>(TCopy copy, uint target, uint targetStep, long source, Tap tap, uint bytes)
        where TCopy : struct, ICopy
    {
        long from = tap.In(source);
        copy.Copy16(target, from + _r0, tap.Bytes(_inside0, bytes));
        copy.Copy16(target + targetStep, from + _r1, tap.Bytes(_inside1, bytes));
    }

    /// <summary>Copies 16 bytes of the last two windows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void CopyHigh<TCopy>(TCopy copy, uint target, uint targetStep, long source, Tap tap, uint bytes)
        where TCopy : struct, ICopy
    {
        long from = tap.In(source);
        copy.Copy16(target, from + _r2, tap.Bytes(_inside2, bytes));
        copy.Copy16(target + targetStep, from + _r3, tap.Bytes(_inside3, bytes));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Window(ConvolutionArguments a, int pixel, out int inside)
    {
        pixel = Numbers.Min(pixel, a.Linear.M - 1);
        int picture = Numbers.Divide(pixel, a.Pixels), place = pixel - (picture * a.Pixels.Value);
        int row = Numbers.Divide(place, a.Columns), column = place - (row * a.Columns.Value);
        inside = Inside((row * a.Stride) - a.Top, a.Height) | (Inside((column * a.Stride) - a.Left, a.Width) << ConvolutionArguments.MaxKernel);
        return (uint)((picture * a.PictureBytes) + (row * a.WindowRowBytes) + (column * a.WindowColumnBytes));
    }

    /// <summary>A bit for each of the 16 indices from <paramref name="first"/> on that is within an extent.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Inside(int first, int extent)
    {
        const int All = ConvolutionArguments.MaxKernel;
        int begin = Numbers.Min(Numbers.Max(-first, 0), All), end = Numbers.Max(Numbers.Min(extent - first, All), begin);
        return (1 << end) - (1 << begin);
    }
}

/// <summary>Windows of maps for an exact product; see <see cref="ConvolutionArguments"/>. The table's entry is loaded a tile ahead of its use.</summary>
internal struct WindowRows8 : IExactRows
{
    /// <summary>The convolution.</summary>
    public ConvolutionArguments Convolution;

    private const int EntryBytes = 8;

    private long _entry;
    private Tap _tap;
    private Windows4 _low;
    private Windows4 _high;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Start(LinearArguments a, int first, int step, int k)
    {
        _entry = Convolution.Taps + ((long)k * EntryBytes);
        _tap.Load(_entry);
        _low.Start(Convolution, first, step);
        _high.Start(Convolution, first + (4 * step), step);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Copy<TCopy>(TCopy copy, uint target, uint targetStep, uint bytes)
        where TCopy : struct, ICopy
    {
        _low.Copy4(copy, target, targetStep, Convolution.Linear.X, _tap, bytes);
        _high.Copy4(copy, target + (4 * targetStep), targetStep, Convolution.Linear.X, _tap, bytes);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Advance()
    {
        _entry += Linear.ExactTile * EntryBytes;
        _tap.Load(_entry);
    }
}

/// <summary>Windows of maps in the operand's type for a tensor-core product: channels are padded to whole 16 bytes, so that each piece belongs to one tap.</summary>
internal struct WindowRows4 : IFastRows
{
    /// <summary>The convolution.</summary>
    public ConvolutionArguments Convolution;

    private const int EntryBytes = 8;
    private const int PieceBytes = 16;

    private long _entry;
    private Tap _tap;
    private Windows4 _windows;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Start<TUnit>(LinearArguments a, TUnit unit, int first, int step, int rowByte)
        where TUnit : struct, IMatrixUnit
    {
        _entry = Convolution.Taps + (rowByte / PieceBytes * EntryBytes);
        _tap.Load(_entry);
        _windows.Start(Convolution, first, step);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void CopyTwo<TUnit, TCopy>(TCopy copy, TUnit unit, uint target, uint targetStep, uint bytes)
        where TUnit : struct, IMatrixUnit
        where TCopy : struct, ICopy => _windows.CopyLow(copy, target, targetStep, Convolution.Linear.X, _tap, bytes);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void CopyFour<TUnit, TCopy>(TCopy copy, TUnit unit, uint target, uint targetStep, uint bytes)
        where TUnit : struct, IMatrixUnit
        where TCopy : struct, ICopy
    {
        CopyTwo(copy, unit, target, targetStep, bytes);
        _windows.CopyHigh(copy, target + (2 * targetStep), targetStep, Convolution.Linear.X, _tap, bytes);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Advance()
    {
        _entry += Linear.FastTileBytes / PieceBytes * EntryBytes;
        _tap.Load(_entry);
    }
}
