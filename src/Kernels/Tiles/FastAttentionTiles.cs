using System.Runtime.CompilerServices;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels.Tiles;

#pragma warning disable IDE0044 // The halves of pairs change by calls, which the analyzer does not see through type parameters.

/// <summary>
/// 16 queries of a warp as left operand of q·kᵀ, in registers. Tiles of attention are pairs of smaller ones down to a leaf of one ldmatrix, so that the kernel is
/// written once for all widths and everything in it is a register.
/// </summary>
internal interface IFastQueries
{
    /// <summary>Bytes of a row.</summary>
    int Bytes { get; }

    /// <summary>Loads them.</summary>
    /// <param name="address">This lane's address for ldmatrix: row lane%16, piece lane/16.</param>
    void Load(uint address);

    /// <summary>scores += q·kᵀ.</summary>
    /// <param name="unit">The kind of product.</param>
    /// <param name="scores">The sums.</param>
    /// <param name="keys">This lane's address for ldmatrix in the first 16 keys: row lane%8 + 8·(lane/16), piece (lane/8)%2.</param>
    /// <param name="pitch">Distance of keys.</param>
    void Multiply<TUnit, TScores>(TUnit unit, ref TScores scores, uint keys, uint pitch)
        where TUnit : struct, IMatrixUnit
        where TScores : struct, IFastScores;
}

/// <summary>16 queries × some keys: logits, then softmax weights. A lane has rows lane/4 and lane/4 + 8, of 16 keys 2·(lane%4) + {0, 1, 8, 9}.</summary>
internal interface IFastScores
{
    /// <summary>Keys.</summary>
    int Keys { get; }

    /// <summary>Adds one 32-byte step of q·kᵀ.</summary>
    void Multiply<TUnit>(TUnit unit, U4 queries, uint keys, uint pitch)
        where TUnit : struct, IMatrixUnit;

    /// <summary>Makes the logits of keys from <paramref name="keys"/> on, counted from this lane's first one, −∞.</summary>
    void Cut(int keys);

    /// <summary>Makes the logits of unseen keys −∞.</summary>
    /// <param name="neighbourhood">What is seen.</param>
    /// <param name="key">This lane's first key.</param>
    /// <param name="upper">Cell of the query of row lane/4.</param>
    /// <param name="lower">Cell of the query of row lane/4 + 8.</param>
    void Mask(Neighbourhood neighbourhood, int key, Cell upper, Cell lower);

    /// <summary>This lane's largest logits.</summary>
    F2 Max();

    /// <summary>Subtracts from the two rows' logits.</summary>
    void Subtract(F2 value);

    /// <summary>Replaces logits s by 2^(s·factor + offset); returns this lane's sums.</summary>
    F2 Exponentials(float factor, F2 offset);

    /// <summary>output += scores·v.</summary>
    void MultiplyValues<TUnit, TValues, TOutput>(TUnit unit, TValues values, ref TOutput output, uint v, uint pitch)
        where TUnit : struct, IMatrixUnit
        where TValues : struct, IValueUnit
        where TOutput : struct, IFastOutput;
}

/// <summary>16 queries × some columns of the result.</summary>
internal interface IFastOutput
{
    /// <summary>Columns.</summary>
    int Width { get; }

    /// <summary>Adds 16 keys' share.</summary>
    void Multiply<TUnit, TValues>(TUnit unit, TValues values, Weights16 p, uint v, uint pitch)
        where TUnit : struct, IMatrixUnit
        where TValues : struct, IValueUnit;

    /// <summary>Multiplies the two rows.</summary>
    void Scale(F2 factor);

    /// <summary>Puts the tile into shared memory as rows of floats.</summary>
    /// <param name="target">This lane's address: row lane/4, column 2·(lane%4).</param>
    /// <param name="pitch">Distance of rows.</param>
    void Stage(uint target, uint pitch);
}

/// <summary>32 bytes of 16 queries.</summary>
internal struct FastQueriesStep : IFastQueries
{
    private U4 _q;

    /// <inheritdoc/>
    public readonly int Bytes => 32;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Load(uint address) => _q = LoadMatrix.Four(address);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Multiply<TUnit, TScores>(TUnit unit, ref TScores scores, uint keys, uint pitch)
        where TUnit : struct, IMatrixUnit
        where TScores : struct, IFastScores => scores.Multiply(unit, _q, keys, pitch);
}

/// <summary>Twice as wide queries.</summary>
internal struct FastQueriesPair<T> : IFastQueries
    where T : struct, IFastQueries
{
    private T _left;
    private T _right;

    /// <inheritdoc/>
    public readonly int Bytes => 2 * _left.Bytes;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Load(uint address)
    {
        _left.Load(address);
        _right.Load(address + (uint)_left.Bytes);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Multiply<TUnit, TScores>(TUnit unit, ref TScores scores, uint keys, uint pitch)
        where TUnit : struct, IMatrixUnit
        where TScores : struct, IFastScores
    {
        _left.Multiply(unit, ref scores, keys, pitch);
        _right.Multiply(unit, ref scores, keys + (uint)_left.Bytes, pitch);
    }
}

/// <summary>16 queries × 16 keys.</summary>
internal struct FastScores16 : IFastScores
{
    private F4 _left;
    private F4 _right;

    /// <inheritdoc/>
    public readonly int Keys => 16;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Multiply<TUnit>(TUnit unit, U4 queries, uint keys, uint pitch)
        where TUnit : struct, IMatrixUnit
    {
        U4 k = LoadMatrix.Four(keys);
        unit.Multiply(ref _left, queries, k.X, k.Y);
        unit.Multiply(ref _right, queries, k.Z, k.W);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Cut(int keys)
    {
        Cut(ref _left, keys);
        Cut(ref _right, keys - 8);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Mask(Neighbourhood neighbourhood, int key, Cell upper, Cell lower)
    {
        Mask(ref _left, neighbourhood, key, upper, lower);
        Mask(ref _right, neighbourhood, key + 8, upper, lower);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly F2 Max() => new()
    {
        X = Numbers.Max(Numbers.Max(_left.X, _left.Y), Numbers.Max(_right.X, _right.Y)),
        Y = Numbers.Max(Numbers.Max(_left.Z, _left.W), Numbers.Max(_right.Z, _right.W)),
    };

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Subtract(F2 value)
    {
        Subtract(ref _left, value);
        Subtract(ref _right, value);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public F2 Exponentials(float factor, F2 offset)
    {
        F2 left = Exponentials(ref _left, factor, offset), right = Exponentials(ref _right, factor, offset);
        return new F2 { X = left.X + right.X, Y = left.Y + right.Y };
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void MultiplyValues<TUnit, TValues, TOutput>(TUnit unit, TValues values, ref TOutput output, uint v, uint pitch)
        where TUnit : struct, IMatrixUnit
        where TValues : struct, IValueUnit
        where TOutput : struct, IFastOutput => output.Multiply(unit, values, values.Pack(_left, _right), v, pitch);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Cut(ref F4 s, int keys)
    {
        s.X = keys > 0 ? s.X : float.NegativeInfinity;
        s.Y = keys > 1 ? s.Y : float.NegativeInfinity;
        s.Z = keys > 0 ? s.Z : float.NegativeInfinity;
        s.W = keys > 1 ? s.W : float.NegativeInfinity;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Mask(ref F4 s, Neighbourhood neighbourhood, int key, Cell upper, Cell lower)
    {
        Cell first = neighbourhood.Of(key), second = neighbourhood.Of(key + 1);
        s.X = neighbourhood.Apply(s.X, first, upper);
        s.Y = neighbourhood.Apply(s.Y, second, upper);
        s.Z = neighbourhood.Apply(s.Z, first, lower);
        s.W = neighbourhood.Apply(s.W, second, lower);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Subtract(ref F4 s, F2 value)
    {
        s.X -= value.X;
        s.Y -= value.X;
        s.Z -= value.Y;
        s.W -= value.Y;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F2 Exponentials(ref F4 s, float factor, F2 offset)
    {
        s.X = Numbers.Exp2(Numbers.Fma(s.X, factor, offset.X));
        s.Y = Numbers.Exp2(Numbers.Fma(s.Y, factor, offset.X));
        s.Z = Numbers.Exp2(Numbers.Fma(s.Z, factor, offset.Y));
        s.W = Numbers.Exp2(Numbers.Fma(s.W, factor, offset.Y));
        return new F2 { X = s.X + s.Y, Y = s.Z + s.W };
    }
}

/// <summary>Twice as many keys.</summary>
internal struct FastScoresPair<T> : IFastScores
    where T : struct, IFastScores
{
    private T _low;
    private T _high;

    /// <inheritdoc/>
    public readonly int Keys => 2 * _low.Keys;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Multiply<TUnit>(TUnit unit, U4 queries, uint keys, uint pitch)
        where TUnit : struct, IMatrixUnit
    {
        _low.Multiply(unit, queries, keys, pitch);
        _high.Multiply(unit, queries, keys + ((uint)_low.Keys * pitch), pitch);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Cut(int keys)
    {
        _low.Cut(keys);
        _high.Cut(keys - _low.Keys);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Mask(Neighbourhood neighbourhood, int key, Cell upper, Cell lower)
    {
        _low.Mask(neighbourhood, key, upper, lower);
        _high.Mask(neighbourhood, key + _low.Keys, upper, lower);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly F2 Max()
    {
        F2 low = _low.Max(), high = _high.Max();
        return new F2 { X = Numbers.Max(low.X, high.X), Y = Numbers.Max(low.Y, high.Y) };
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Subtract(F2 value)
    {
        _low.Subtract(value);
        _high.Subtract(value);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public F2 Exponentials(float factor, F2 offset)
    {
        F2 low = _low.Exponentials(factor, offset), high = _high.Exponentials(factor, offset);
        return new F2 { X = low.X + high.X, Y = low.Y + high.Y };
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void MultiplyValues<TUnit, TValues, TOutput>(TUnit unit, TValues values, ref TOutput output, uint v, uint pitch)
        where TUnit : struct, IMatrixUnit
        where TValues : struct, IValueUnit
        where TOutput : struct, IFastOutput
    {
        _low.MultiplyValues(unit, values, ref output, v, pitch);
        _high.MultiplyValues(unit, values, ref output, v + ((uint)_low.Keys * pitch), pitch);
    }
}

/// <summary>16 queries × 16 columns.</summary>
internal struct FastOutput16 : IFastOutput
{
    private F4 _left;
    private F4 _right;

    /// <inheritdoc/>
    public readonly int Width => 16;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Multiply<TUnit, TValues>(TUnit unit, TValues values, Weights16 p, uint v, uint pitch)
        where TUnit : struct, IMatrixUnit
        where TValues : struct, IValueUnit => values.Multiply(unit, ref _left, ref _right, p, v, pitch);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Scale(F2 factor)
    {
        Scale(ref _left, factor);
        Scale(ref _right, factor);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Stage(uint target, uint pitch)
    {
        Stage(target, pitch, _left);
        Stage(target + (8 * sizeof(float)), pitch, _right);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Scale(ref F4 o, F2 factor)
    {
        o.X *= factor.X;
        o.Y *= factor.X;
        o.Z *= factor.Y;
        o.W *= factor.Y;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Stage(uint target, uint pitch, F4 o)
    {
        Shared.Store2(target, o.X, o.Y);
        Shared.Store2(target + (8 * pitch), o.Z, o.W);
    }
}

/// <summary>Twice as many columns.</summary>
internal struct FastOutputPair<T> : IFastOutput
    where T : struct, IFastOutput
{
    private T _left;
    private T _right;

    /// <inheritdoc/>
    public readonly int Width => 2 * _left.Width;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Multiply<TUnit, TValues>(TUnit unit, TValues values, Weights16 p, uint v, uint pitch)
        where TUnit : struct, IMatrixUnit
        where TValues : struct, IValueUnit
    {
        _left.Multiply(unit, values, p, v, pitch);
        _right.Multiply(unit, values, p, v + (uint)(_left.Width * unit.ElementBytes), pitch);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Scale(F2 factor)
    {
        _left.Scale(factor);
        _right.Scale(factor);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Stage(uint target, uint pitch)
    {
        _left.Stage(target, pitch);
        _right.Stage(target + (uint)(_left.Width * sizeof(float)), pitch);
    }
}
