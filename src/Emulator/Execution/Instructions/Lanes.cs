using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Emulator;

/// <summary>
/// Applies a function to every lane of one, two or three rows. Each method is an <see cref="Op.Handler"/> of kind <see cref="OpKind.Row32"/>,
/// <see cref="OpKind.Row64"/> or <see cref="OpKind.Predicate"/>; the sources are <see cref="Op.A"/>, <see cref="Op.B"/> and <see cref="Op.C"/>.
/// </summary>
internal static unsafe class Lanes
{
    private const int Chunk = 32; // Bytes of a vector.
    private const int Row = KernelProgram.RowBytes;

    /// <summary>A function of a vector.</summary>
    internal interface IUnary
    {
        /// <summary>Computes it.</summary>
        static abstract Vector256<uint> Invoke(Vector256<uint> a);
    }

    /// <summary>A function of two vectors.</summary>
    internal interface IBinary
    {
        /// <summary>Computes it.</summary>
        static abstract Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b);
    }

    /// <summary>A function of three vectors.</summary>
    internal interface ITernary
    {
        /// <summary>Computes it.</summary>
        static abstract Vector256<uint> Invoke(Vector256<uint> a, Vector256<uint> b, Vector256<uint> c);
    }

    /// <summary>A function of two vectors of 64-bit lanes.</summary>
    internal interface IBinary64
    {
        /// <summary>Computes it.</summary>
        static abstract Vector256<ulong> Invoke(Vector256<ulong> a, Vector256<ulong> b);
    }

    /// <summary>A function of up to three numbers, those that it does not have being zero.</summary>
    /// <typeparam name="TResult">The result's type.</typeparam>
    /// <typeparam name="TA">The first number's type.</typeparam>
    /// <typeparam name="TB">The second number's type.</typeparam>
    /// <typeparam name="TC">The third number's type.</typeparam>
    internal interface IScalar<TResult, TA, TB, TC>
    {
        /// <summary>Computes it.</summary>
        static abstract TResult Invoke(TA a, TB b, TC c);
    }

    /// <summary>Applies a function to a row.</summary>
    /// <typeparam name="T">The function.</typeparam>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Unary<T>(byte* file, Op* op, byte* d)
        where T : IUnary
    {
        byte* a = file + op->A;
        for (int i = 0; i < Row; i += Chunk)
        {
            T.Invoke(Vector256.Load((uint*)(a + i))).Store((uint*)(d + i));
        }
    }

    /// <summary>Applies a function to two rows.</summary>
    /// <typeparam name="T">The function.</typeparam>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Binary<T>(byte* file, Op* op, byte* d)
        where T : IBinary
    {
        byte* a = file + op->A;
        byte* b = file + op->B;
        T.Invoke(Vector256.Load((uint*)a), Vector256.Load((uint*)b)).Store((uint*)d);
        T.Invoke(Vector256.Load((uint*)(a + Chunk)), Vector256.Load((uint*)(b + Chunk))).Store((uint*)(d + Chunk));
        T.Invoke(Vector256.Load((uint*)(a + (2 * Chunk))), Vector256.Load((uint*)(b + (2 * Chunk)))).Store((uint*)(d + (2 * Chunk)));
        T.Invoke(Vector256.Load((uint*)(a + (3 * Chunk))), Vector256.Load((uint*)(b + (3 * Chunk)))).Store((uint*)(d + (3 * Chunk)));
    }

    /// <summary>Applies a function to three rows.</summary>
    /// <typeparam name="T">The function.</typeparam>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Ternary<T>(byte* file, Op* op, byte* d)
        where T : ITernary
    {
        byte* a = file + op->A;
        byte* b = file + op->B;
        byte* c = file + op->C;
        T.Invoke(Vector256.Load((uint*)a), Vector256.Load((uint*)b), Vector256.Load((uint*)c)).Store((uint*)d);
        T.Invoke(Vector256.Load((uint*)(a + Chunk)), Vector256.Load((uint*)(b + Chunk)), Vector256.Load((uint*)(c + Chunk))).Store((uint*)(d + Chunk));
        T.Invoke(Vector256.Load((uint*)(a + (2 * Chunk))), Vector256.Load((uint*)(b + (2 * Chunk))), Vector256.Load((uint*)(c + (2 * Chunk)))).Store((uint*)(d + (2 * Chunk)));
        T.Invoke(Vector256.Load((uint*)(a + (3 * Chunk))), Vector256.Load((uint*)(b + (3 * Chunk))), Vector256.Load((uint*)(c + (3 * Chunk)))).Store((uint*)(d + (3 * Chunk)));
    }

    /// <summary>Applies a function to two rows of 64-bit lanes.</summary>
    /// <typeparam name="T">The function.</typeparam>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Binary64<T>(byte* file, Op* op, byte* d)
        where T : IBinary64
    {
        byte* a = file + op->A;
        byte* b = file + op->B;
        for (int i = 0; i < 2 * Row; i += Chunk)
        {
            T.Invoke(Vector256.Load((ulong*)(a + i)), Vector256.Load((ulong*)(b + i))).Store((ulong*)(d + i));
        }
    }

    /// <summary>Applies a function lane by lane.</summary>
    /// <typeparam name="T">The function.</typeparam>
    /// <typeparam name="TResult">The result's type, as wide as its row's lanes; so are the others.</typeparam>
    /// <typeparam name="TA">The first source's type.</typeparam>
    /// <typeparam name="TB">The second source's type.</typeparam>
    /// <typeparam name="TC">The third source's type.</typeparam>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scalar<T, TResult, TA, TB, TC>(byte* file, Op* op, byte* d)
        where T : IScalar<TResult, TA, TB, TC>
        where TResult : unmanaged
        where TA : unmanaged
        where TB : unmanaged
        where TC : unmanaged
    {
        TA* a = (TA*)(file + op->A);
        TB* b = (TB*)(file + op->B);
        TC* c = (TC*)(file + op->C);
        TResult* result = (TResult*)d;
        for (int lane = 0; lane < Warp.Lanes; lane++)
        {
            result[lane] = T.Invoke(a[lane], b[lane], c[lane]);
        }
    }

    /// <summary>Compares two rows.</summary>
    /// <typeparam name="T">The comparison, which sets all bits of the lanes where it holds.</typeparam>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static uint Compare<T>(byte* file, Op* op)
        where T : IBinary
    {
        byte* a = file + op->A;
        byte* b = file + op->B;
        uint bits = 0;
        for (int i = 0; i < 4; i++)
        {
            Vector256<uint> holds = T.Invoke(Vector256.Load((uint*)(a + (i * Chunk))), Vector256.Load((uint*)(b + (i * Chunk))));
            bits |= holds.ExtractMostSignificantBits() << (8 * i);
        }

        return bits;
    }

    /// <summary>Compares two rows of 64-bit lanes.</summary>
    /// <typeparam name="T">The comparison, which sets all bits of the lanes where it holds.</typeparam>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static uint Compare64<T>(byte* file, Op* op)
        where T : IBinary64
    {
        byte* a = file + op->A;
        byte* b = file + op->B;
        uint bits = 0;
        for (int i = 0; i < 8; i++)
        {
            Vector256<ulong> holds = T.Invoke(Vector256.Load((ulong*)(a + (i * Chunk))), Vector256.Load((ulong*)(b + (i * Chunk))));
            bits |= holds.ExtractMostSignificantBits() << (4 * i);
        }

        return bits;
    }
}
