using System.Runtime.CompilerServices;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels.Tiles;

/// <summary>A warp's tile of a tensor-core product, in registers. Blocks are two warps high and square.</summary>
internal interface IFastTile
{
    /// <summary>Rows of a warp's tile: half of a block's rows, and of its columns.</summary>
    int Rows { get; }

    /// <summary>Columns of a warp's tile.</summary>
    int Columns { get; }

    /// <summary>Stages of copies, 3 or 4: where few blocks share a multiprocessor, the copies' latency is all that a tile of K waits for.</summary>
    int Stages { get; }

    /// <summary>Adds 32 bytes along K of both operands.</summary>
    /// <param name="unit">The kind of product.</param>
    /// <param name="x">This lane's address for ldmatrix in the warp's first 16 rows of x; 16 rows further is 1024 bytes further.</param>
    /// <param name="w">This lane's address for ldmatrix in the warp's first 16 columns of W.</param>
    void Multiply<TUnit>(TUnit unit, uint x, uint w)
        where TUnit : struct, IMatrixUnit;

    /// <summary>Puts 16 rows of the results, slab 0, 1, …, into the warp's own shared memory.</summary>
    /// <param name="target">This lane's address: row lane/4, column 2·(lane%4).</param>
    /// <param name="slab">Which 16 rows.</param>
    void Stage(uint target, int slab);
}

/// <summary>64×64 a warp, 128×128 a block: 32 products for 8 ldmatrix.</summary>
internal struct Fast128 : IFastTile
{
    private const uint Sixteen = 16 * 64;
    private Slab64 _s0;
    private Slab64 _s1;
    private Slab64 _s2;
    private Slab64 _s3;

    /// <inheritdoc/>
    public readonly int Rows => 64;

    /// <inheritdoc/>
    public readonly int Columns => 64;

    /// <inheritdoc/>
    public readonly int Stages => 3;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Multiply<TUnit>(TUnit unit, uint x, uint w)
        where TUnit : struct, IMatrixUnit
    {
        U4 w0 = LoadMatrix.Four(w), w1 = LoadMatrix.Four(w + Sixteen), w2 = LoadMatrix.Four(w + (2 * Sixteen)), w3 = LoadMatrix.Four(w + (3 * Sixteen));
        _s0.Multiply(unit, LoadMatrix.Four(x), w0, w1, w2, w3);
        _s1.Multiply(unit, LoadMatrix.Four(x + Sixteen), w0, w1, w2, w3);
        _s2.Multiply(unit, LoadMatrix.Four(x + (2 * Sixteen)), w0, w1, w2, w3);
        _s3.Multiply(unit, LoadMatrix.Four(x + (3 * Sixteen)), w0, w1, w2, w3);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Stage(uint target, int slab)
    {
        if (slab == 0)
        {
            _s0.Stage(target);
        }
        else if (slab == 1)
        {
            _s1.Stage(target);
        }
        else if (slab == 2)
        {
            _s2.Stage(target);
        }
        else
        {
            _s3.Stage(target);
        }
    }
}

/// <summary>
/// 64×32 a warp, 128×128 a block of eight warps: 16 products for 6 ldmatrix, but twice the warps to store results with. On an H200 up to 18 % faster than
/// <see cref="Fast128"/> where K is 512, up to 20 % slower where it is thousands.
/// </summary>
internal struct Fast128Of8 : IFastTile
{
    private const uint Sixteen = 16 * 64;
    private Slab32 _s0;
    private Slab32 _s1;
    private Slab32 _s2;
    private Slab32 _s3;

    /// <inheritdoc/>
    public readonly int Rows => 64;

    /// <inheritdoc/>
    public readonly int Columns => 32;

    /// <inheritdoc/>
    public readonly int Stages => 3;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Multiply<TUnit>(TUnit unit, uint x, uint w)
        where TUnit : struct, IMatrixUnit
    {
        U4 w0 = LoadMatrix.Four(w), w1 = LoadMatrix.Four(w + Sixteen);
        _s0.Multiply(unit, LoadMatrix.Four(x), w0, w1);
        _s1.Multiply(unit, LoadMatrix.Four(x + Sixteen), w0, w1);
        _s2.Multiply(unit, LoadMatrix.Four(x + (2 * Sixteen)), w0, w1);
        _s3.Multiply(unit, LoadMatrix.Four(x + (3 * Sixteen)), w0, w1);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Stage(uint target, int slab)
    {
        if (slab == 0)
        {
            _s0.Stage(target, FastStaging.RowBytes32);
        }
        else if (slab == 1)
        {
            _s1.Stage(target, FastStaging.RowBytes32);
        }
        else if (slab == 2)
        {
            _s2.Stage(target, FastStaging.RowBytes32);
        }
        else
        {
            _s3.Stage(target, FastStaging.RowBytes32);
        }
    }
}

/// <summary>32×32 a warp, 64×64 a block: for matrices of few rows.</summary>
internal struct Fast64 : IFastTile
{
    private const uint Sixteen = 16 * 64;
    private Slab32 _s0;
    private Slab32 _s1;

    /// <inheritdoc/>
    public readonly int Rows => 32;

    /// <inheritdoc/>
    public readonly int Columns => 32;

    /// <inheritdoc/>
    public readonly int Stages => 4;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Multiply<TUnit>(TUnit unit, uint x, uint w)
        where TUnit : struct, IMatrixUnit
    {
        U4 w0 = LoadMatrix.Four(w), w1 = LoadMatrix.Four(w + Sixteen);
        _s0.Multiply(unit, LoadMatrix.Four(x), w0, w1);
        _s1.Multiply(unit, LoadMatrix.Four(x + Sixteen), w0, w1);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Stage(uint target, int slab)
    {
        if (slab == 0)
        {
            _s0.Stage(target, FastStaging.RowBytes32);
        }
        else
        {
            _s1.Stage(target, FastStaging.RowBytes32);
        }
    }
}

/// <summary>16 rows by 64 columns of results: eight accumulators.</summary>
internal struct Slab64
{
    private Slab32 _left;
    private Slab32 _right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Multiply<TUnit>(TUnit unit, U4 x, U4 w0, U4 w1, U4 w2, U4 w3)
        where TUnit : struct, IMatrixUnit
    {
        _left.Multiply(unit, x, w0, w1);
        _right.Multiply(unit, x, w2, w3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Stage(uint target)
    {
        const uint Row = FastStaging.RowBytes64;
        _left.Stage(target, Row);
        _right.Stage(target + (32 * sizeof(float)), Row);
    }
}

/// <summary>16 rows by 32 columns of results: four accumulators.</summary>
internal struct Slab32
{
    private F4 _c0;
    private F4 _c1;
    private F4 _c2;
    private F4 _c3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Multiply<TUnit>(TUnit unit, U4 x, U4 w0, U4 w1)
        where TUnit : struct, IMatrixUnit
    {
        unit.Multiply(ref _c0, x, w0.X, w0.Y);
        unit.Multiply(ref _c1, x, w0.Z, w0.W);
        unit.Multiply(ref _c2, x, w1.X, w1.Y);
        unit.Multiply(ref _c3, x, w1.Z, w1.W);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Stage(uint target, uint rowBytes)
    {
        Stage(target, rowBytes, _c0);
        Stage(target + (8 * sizeof(float)), rowBytes, _c1);
        Stage(target + (16 * sizeof(float)), rowBytes, _c2);
        Stage(target + (24 * sizeof(float)), rowBytes, _c3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Stage(uint target, uint rowBytes, F4 c)
    {
        Shared.Store2(target, c.X, c.Y);
        Shared.Store2(target + (8 * rowBytes), c.Z, c.W);
    }
}

/// <summary>Layout of the warp's results in shared memory on their way from accumulators to rows.</summary>
internal static class FastStaging
{
    /// <summary>Bytes that a row is longer than its results, so that the four rows of a half-warp's stores lie in different banks.</summary>
    public const uint Gap = 32;

    /// <summary>Bytes of a row of 64 results.</summary>
    public const uint RowBytes64 = (64 * sizeof(float)) + Gap;

    /// <summary>Bytes of a row of 32 results.</summary>
    public const uint RowBytes32 = (32 * sizeof(float)) + Gap;
}
