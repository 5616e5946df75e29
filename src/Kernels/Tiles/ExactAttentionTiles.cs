using System.Runtime.CompilerServices;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels.Tiles;

#pragma warning disable IDE0044 // The halves of pairs change by calls, which the analyzer does not see through type parameters.

/// <summary>
/// 16 queries × 32 keys of a warp: logits, then softmax weights. A lane has queries lane/8 + {0, 4, 8, 12} and keys lane%8 + {0, 8, 16, 24}; values of its four
/// queries travel as one F4.
/// </summary>
internal struct ExactScores
{
    /// <summary>Keys.</summary>
    public const int Keys = 32;

    /// <summary>Distance of rows of <see cref="Store(uint)"/>: four rows of eight neighbouring floats lie in different banks.</summary>
    public const uint Pitch = (Keys + 8) * sizeof(float);

    private F4 _q0;
    private F4 _q1;
    private F4 _q2;
    private F4 _q3;

    /// <summary>Adds 8 columns of q·kᵀ.</summary>
    /// <param name="queries">Address of this lane's first query.</param>
    /// <param name="keys">Address of its first key.</param>
    /// <param name="pitch">Distance of rows of both.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Multiply8(uint queries, uint keys, uint pitch)
    {
        Multiply4(queries, keys, pitch);
        Multiply4(queries + 16, keys + 16, pitch);
    }

    /// <summary>Makes the logits of keys from <paramref name="keys"/> on, counted from this lane's first one, −∞.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Cut(int keys)
    {
        Cut(ref _q0, keys);
        Cut(ref _q1, keys);
        Cut(ref _q2, keys);
        Cut(ref _q3, keys);
    }

    /// <summary>Makes the logits of unseen keys −∞; <paramref name="query"/> and <paramref name="key"/> are this lane's first ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Mask(Neighbourhood neighbourhood, int query, int key)
    {
        Cell k0 = neighbourhood.Of(key), k1 = neighbourhood.Of(key + 8), k2 = neighbourhood.Of(key + 16), k3 = neighbourhood.Of(key + 24);
        Mask(ref _q0, neighbourhood, neighbourhood.Of(query), k0, k1, k2, k3);
        Mask(ref _q1, neighbourhood, neighbourhood.Of(query + 4), k0, k1, k2, k3);
        Mask(ref _q2, neighbourhood, neighbourhood.Of(query + 8), k0, k1, k2, k3);
        Mask(ref _q3, neighbourhood, neighbourhood.Of(query + 12), k0, k1, k2, k3);
    }

    /// <summary>The largest logits of each query, in all of its eight lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly F4 Max() => new() { X = Max(_q0), Y = Max(_q1), Z = Max(_q2), W = Max(_q3) };

    /// <summary>Subtracts from the queries' logits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Subtract(F4 value)
    {
        Subtract(ref _q0, value.X);
        Subtract(ref _q1, value.Y);
        Subtract(ref _q2, value.Z);
        Subtract(ref _q3, value.W);
    }

    /// <summary>Replaces logits s by 2^(s·factor + offset); returns this lane's sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public F4 Exponentials(float factor, F4 offset) => new()
    {
        X = Exponentials(ref _q0, factor, offset.X),
        Y = Exponentials(ref _q1, factor, offset.Y),
        Z = Exponentials(ref _q2, factor, offset.Z),
        W = Exponentials(ref _q3, factor, offset.W),
    };

    /// <summary>Puts the weights into shared memory as rows; <paramref name="target"/> is the address of this lane's first one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(uint target)
    {
        Store(target, _q0);
        Store(target + (4 * Pitch), _q1);
        Store(target + (8 * Pitch), _q2);
        Store(target + (12 * Pitch), _q3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Multiply(ref F4 sums, F4 q, F4 k0, F4 k1, F4 k2, F4 k3)
    {
        // By columns, not by sums: neighbouring instructions do not wait for each other.
        Add(ref sums, q.X, k0.X, k1.X, k2.X, k3.X);
        Add(ref sums, q.Y, k0.Y, k1.Y, k2.Y, k3.Y);
        Add(ref sums, q.Z, k0.Z, k1.Z, k2.Z, k3.Z);
        Add(ref sums, q.W, k0.W, k1.W, k2.W, k3.W);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(ref F4 sums, float q, float k0, float k1, float k2, float k3) =>
        ExactSums.Add(ref sums, q, new F4 { X = k0, Y = k1, Z = k2, W = k3 });

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Cut(ref F4 s, int keys)
    {
        s.X = keys > 0 ? s.X : float.NegativeInfinity;
        s.Y = keys > 8 ? s.Y : float.NegativeInfinity;
        s.Z = keys > 16 ? s.Z : float.NegativeInfinity;
        s.W = keys > 24 ? s.W : float.NegativeInfinity;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Mask(ref F4 s, Neighbourhood neighbourhood, Cell query, Cell k0, Cell k1, Cell k2, Cell k3)
    {
        s.X = neighbourhood.Apply(s.X, k0, query);
        s.Y = neighbourhood.Apply(s.Y, k1, query);
        s.Z = neighbourhood.Apply(s.Z, k2, query);
        s.W = neighbourhood.Apply(s.W, k3, query);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Max(F4 s) => Threads.MaxOfEight(Numbers.Max(Numbers.Max(s.X, s.Y), Numbers.Max(s.Z, s.W)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Subtract(ref F4 s, float value)
    {
        s.X -= value;
        s.Y -= value;
        s.Z -= value;
        s.W -= value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Exponentials(ref F4 s, float factor, float offset)
    {
        s.X = Numbers.Exp2(Numbers.Fma(s.X, factor, offset));
        s.Y = Numbers.Exp2(Numbers.Fma(s.Y, factor, offset));
        s.Z = Numbers.Exp2(Numbers.Fma(s.Z, factor, offset));
        s.W = Numbers.Exp2(Numbers.Fma(s.W, factor, offset));
        return (s.X + s.Y) + (s.Z + s.W);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(uint target, F4 p)
    {
        Shared.Store(target, p.X);
        Shared.Store(target + (8 * sizeof(float)), p.Y);
        Shared.Store(target + (16 * sizeof(float)), p.Z);
        Shared.Store(target + (24 * sizeof(float)), p.W);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Multiply4(uint queries, uint keys, uint pitch)
    {
        F4 k0 = Shared.Float4(keys), k1 = Shared.Float4(keys + (8 * pitch)), k2 = Shared.Float4(keys + (16 * pitch)), k3 = Shared.Float4(keys + (24 * pitch));
        Multiply(ref _q0, Shared.Float4(queries), k0, k1, k2, k3);
        Multiply(ref _q1, Shared.Float4(queries + (4 * pitch)), k0, k1, k2, k3);
        Multiply(ref _q2, Shared.Float4(queries + (8 * pitch)), k0, k1, k2, k3);
        Multiply(ref _q3, Shared.Float4(queries + (12 * pitch)), k0, k1, k2, k3);
    }
}

/// <summary>16 queries × some columns of the result. A lane has the queries of <see cref="ExactScores"/> and, of 32 columns, 4·(lane%8) and the three next.</summary>
internal interface IExactOutput
{
    /// <summary>Columns.</summary>
    int Width { get; }

    /// <summary>Adds four keys' share.</summary>
    /// <param name="p0">Weights of the four keys for the lane's first query.</param>
    /// <param name="p1">For the second one.</param>
    /// <param name="p2">For the third one.</param>
    /// <param name="p3">For the fourth one.</param>
    /// <param name="v">Address of this lane's first column of the first key's values.</param>
    /// <param name="pitch">Distance of keys.</param>
    void Multiply4(F4 p0, F4 p1, F4 p2, F4 p3, uint v, uint pitch);

    /// <summary>Multiplies the four rows.</summary>
    void Scale(F4 factor);

    /// <summary>Puts the tile into shared memory as rows of floats; <paramref name="target"/> is this lane's address of its first row and column.</summary>
    void Stage(uint target, uint pitch);
}

/// <summary>16 queries × 32 columns.</summary>
internal struct ExactOutput32 : IExactOutput
{
    private F4 _q0;
    private F4 _q1;
    private F4 _q2;
    private F4 _q3;

    /// <inheritdoc/>
    public readonly int Width => 32;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Multiply4(F4 p0, F4 p1, F4 p2, F4 p3, uint v, uint pitch)
    {
        Add(p0.X, p1.X, p2.X, p3.X, Shared.Float4(v));
        Add(p0.Y, p1.Y, p2.Y, p3.Y, Shared.Float4(v + pitch));
        Add(p0.Z, p1.Z, p2.Z, p3.Z, Shared.Float4(v + (2 * pitch)));
        Add(p0.W, p1.W, p2.W, p3.W, Shared.Float4(v + (3 * pitch)));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Scale(F4 factor)
    {
        Scale(ref _q0, factor.X);
        Scale(ref _q1, factor.Y);
        Scale(ref _q2, factor.Z);
        Scale(ref _q3, factor.W);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Stage(uint target, uint pitch)
    {
        Shared.Store4(target, _q0);
        Shared.Store4(target + (4 * pitch), _q1);
        Shared.Store4(target + (8 * pitch), _q2);
        Shared.Store4(target + (12 * pitch), _q3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Scale(ref F4 o, float factor)
    {
        o.X *= factor;
        o.Y *= factor;
        o.Z *= factor;
        o.W *= factor;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Add(float p0, float p1, float p2, float p3, F4 v)
    {
        ExactSums.Add(ref _q0, p0, v);
        ExactSums.Add(ref _q1, p1, v);
        ExactSums.Add(ref _q2, p2, v);
        ExactSums.Add(ref _q3, p3, v);
    }
}

/// <summary>Twice as many columns.</summary>
internal struct ExactOutputPair<T> : IExactOutput
    where T : struct, IExactOutput
{
    private T _left;
    private T _right;

    /// <inheritdoc/>
    public readonly int Width => 2 * _left.Width;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Multiply4(F4 p0, F4 p1, F4 p2, F4 p3, uint v, uint pitch)
    {
        _left.Multiply4(p0, p1, p2, p3, v, pitch);
        _right.Multiply4(p0, p1, p2, p3, v + (uint)(_left.Width * sizeof(float)), pitch);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Scale(F4 factor)
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
