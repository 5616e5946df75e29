namespace KernelAD.Emulator;

/// <summary>Tensor-core instructions and the loads and stores of their matrices. All need the whole warp.</summary>
internal static unsafe class MatrixInstructions
{
    private const int MaxRegisters = 8;

    /// <summary>Packs a form into <see cref="Op.Immediate"/>.</summary>
    /// <param name="form">The form.</param>
    public static long Pack(MatrixForm form) => (uint)form.M | ((long)form.K << 8) | ((long)form.A << 16) | ((long)form.B << 24) | ((long)form.Accumulator << 32)
        | (form.Saturate ? 1L << 40 : 0) | ((long)form.Sums << 48);

    /// <summary>Multiplications and additions of an instruction.</summary>
    /// <param name="packed">The packed form.</param>
    public static long Operations(long packed) => Unpack(packed).Operations;

    /// <summary>Multiplies and adds: destinations are D's registers, sources those of A, B and C.</summary>
    public static void MultiplyAdd(WarpState warp, Op* op, uint mask)
    {
        RequireWholeWarp(warp, mask);
        MatrixForm form = Unpack(op->Immediate);
        uint** rows = stackalloc uint*[4 * MaxRegisters];
        int c = form.RegistersOfC;
        int a = form.RegistersOfA;
        int b = form.RegistersOfB;
        for (int i = 0; i < (2 * c) + a + b; i++)
        {
            rows[i] = (uint*)(warp.File + op->Operands[i]);
        }

        MatrixArithmetic.MultiplyAdd(form, rows, rows + c, rows + c + a, rows + c + a + b);
    }

    /// <summary>Loads <see cref="Op.Elements"/> matrices, transposed if <see cref="Op.Variant"/> is 1; the source is the address.</summary>
    public static void Load(WarpState warp, Op* op, uint mask)
    {
        RequireWholeWarp(warp, mask);
        int matrices = op->Elements;
        uint** rows = stackalloc uint*[MaxRegisters];
        FindRows(warp, op, op->Operands[matrices], AccessKind.Read);
        for (int i = 0; i < matrices; i++)
        {
            rows[i] = (uint*)(warp.File + op->Operands[i]);
        }

        MatrixMove.Load(rows, matrices, op->Variant != 0, warp.Pointers);
    }

    /// <summary>Stores <see cref="Op.Elements"/> matrices, transposed if <see cref="Op.Variant"/> is 1; the sources are the address and the matrices.</summary>
    public static void Store(WarpState warp, Op* op, uint mask)
    {
        RequireWholeWarp(warp, mask);
        int matrices = op->Elements;
        uint** rows = stackalloc uint*[MaxRegisters];
        FindRows(warp, op, op->A, AccessKind.Write);
        if (warp.Block.Launch.ChecksRaces)
        {
            for (int lane = 0; lane < MatrixMove.AddressingLanes(matrices); lane++)
            {
                MemoryAccess.CheckRace(warp, op, lane, PtxSpace.Shared, warp.Addresses[lane], AccessKind.Write, MatrixMove.RowBytes);
            }
        }

        for (int i = 0; i < matrices; i++)
        {
            rows[i] = (uint*)(warp.File + op->Operands[1 + i]);
        }

        MatrixMove.Store(warp.Pointers, rows, matrices, op->Variant != 0);
    }

    private static void FindRows(WarpState warp, Op* op, int register, AccessKind kind)
    {
        int count = MatrixMove.AddressingLanes(op->Elements);
        uint lanes = count == Warp.Lanes ? uint.MaxValue : (1u << count) - 1;
        MemoryAccess.ComputeAddresses(warp, register, op->IsWideAddress, op->Immediate);
        if (op->Space == PtxSpace.Generic && MemoryAccess.TakeSpace(warp, lanes, out PtxSpace space) is uint inShared && (space != PtxSpace.Shared || inShared != lanes))
        {
            throw new KernelFault(FindingKind.WrongAddressSpace, 0, warp.Addresses[0], "a matrix has to lie in shared memory.");
        }

        MemoryAccess.Resolve(warp, op, lanes, PtxSpace.Shared, kind, MatrixMove.RowBytes);
    }

    private static void RequireWholeWarp(WarpState warp, uint mask)
    {
        if (mask != uint.MaxValue)
        {
            throw new KernelFault(FindingKind.IncompleteWarp, WarpState.FirstLane(~mask), null,
                $"needs all {Warp.Lanes} lanes of the warp, but only 0x{mask:x8} are here.");
        }
    }

    private static MatrixForm Unpack(long packed) => new(
        (byte)packed, (byte)(packed >> 8), (PtxType)(byte)(packed >> 16), (PtxType)(byte)(packed >> 24), (PtxType)(byte)(packed >> 32), (byte)(packed >> 40) != 0, (MatrixSums)(packed >> 48));
}
