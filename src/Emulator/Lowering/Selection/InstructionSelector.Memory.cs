using System.Globalization;

namespace KernelAD.Emulator;

/// <content>Loads, stores, atomics, asynchronous copies and matrices.</content>
internal sealed unsafe partial class InstructionSelector
{
    private void SelectMemory()
    {
        switch (_modifiers.Opcode)
        {
            case "ld" or "ldu":
                SelectLoad();
                break;
            case "st":
                SelectStore();
                break;
            case "atom" or "red":
                SelectAtomic();
                break;
            default:
                _modifiers.Drop(_ => true); // Hints for caches.
                General(OpClass.Order, &WarpInstructions.Nothing, [], []);
                break;
        }
    }

    /// <summary>Drops what only tells caches and other threads' view: within a launch the emulator has one memory for all.</summary>
    private void DropHints() => _modifiers.Drop(part => part is "ca" or "cg" or "cs" or "lu" or "cv" or "wb" or "wt" or "nc" or "volatile" or "relaxed" or "acquire"
        or "release" or "acq_rel" or "sc" or "weak" or "cta" or "gpu" or "sys" or "cluster" or "noftz"
        || part.StartsWith("L1::", StringComparison.Ordinal) || part.StartsWith("L2::", StringComparison.Ordinal));

    private int TakeLanes() => _modifiers.TakeAny("v2", "v4", "v8") switch { "v2" => 2, "v4" => 4, null => 1, _ => throw Refuse() };

    /// <summary>The register and the constant of an address.</summary>
    private (int Register, bool IsWide, long Offset) Address(int index, PtxSpace space)
    {
        PtxOperand operand = Operand(index);
        if (operand.Kind != PtxOperandKind.Address)
        {
            throw Unsupported($"{operand} in '{_instruction.Name}'", "an address in brackets");
        }

        if (operand.Register is PtxRegister register)
        {
            return (Map(register), register.Type.Size() == 8, (long)operand.Bits);
        }

        ulong start = operand.Bits;
        if (operand.Variable is PtxVariable variable)
        {
            if (variable.Space is not (PtxSpace.Shared or PtxSpace.Local) || (space != variable.Space && space != PtxSpace.Generic))
            {
                throw Unsupported($"'{variable.Name}' in '{_instruction.Name}'", "a variable of the instruction's address space, shared or local");
            }

            start += (ulong)variable.Offset + (space == PtxSpace.Generic ? AddressSpaces.Base(variable.Space) : 0);
        }

        return (Constant(RegisterClass.Row64, start), true, 0);
    }

    private void SelectLoad()
    {
        DropHints();
        PtxSpace space = TakeSpace();
        int count = TakeLanes();
        PtxType type = _modifiers.TakeType();
        RequireOperands(2, 3);
        if (type is PtxType.None or PtxType.Predicate or PtxType.B128)
        {
            throw Refuse();
        }

        IReadOnlyList<PtxOperand> elements = Elements(0, count);
        if (space == PtxSpace.Parameter)
        {
            LoadParameters(elements, type);
            return;
        }

        if (space == PtxSpace.Constant)
        {
            throw Refuse();
        }

        (int register, bool isWide, long offset) = Address(1, space);
        int[] loaded = new int[count];
        List<(int Destination, int Narrow)> widened = [];
        for (int i = 0; i < count; i++)
        {
            loaded[i] = LoadDestination(elements[i], type, widened);
        }

        General(
            OpClass.Load,
            space == PtxSpace.Shared && type.Size() == 4 ? &MemoryInstructions.LoadShared : &MemoryInstructions.Load,
            loaded,
            [register],
            offset,
            (byte)type.Size(),
            count,
            space,
            (byte)(type.IsSigned() ? 1 : 0),
            isWide);
        foreach ((int destination, int narrow) in widened)
        {
            Widen(destination, narrow, type);
        }
    }

    /// <summary>A register of 64 bits may take smaller elements, which are extended.</summary>
    private int LoadDestination(PtxOperand operand, PtxType type, List<(int Destination, int Narrow)> widened)
    {
        if (operand.Kind != PtxOperandKind.Register || operand.Register!.Type.Size() <= type.Size() || type.IsFloat())
        {
            return Destination(operand, type);
        }

        int destination = Destination(operand, operand.Register.Type);
        if (Registers[destination].Class == ClassOf(type))
        {
            return destination;
        }

        int narrow = NewRegister(ClassOf(type));
        widened.Add((destination, narrow));
        return narrow;
    }

    private void Widen(int destination, int narrow, PtxType type)
    {
        if (type.IsSigned())
        {
            Row(OpClass.Alu, &Lanes.Scalar<IntegerFunctions.WidenSigned, long, int, uint, uint>, destination, [narrow]);
        }
        else
        {
            Row(OpClass.Alu, &Lanes.Scalar<IntegerFunctions.Widen, ulong, uint, uint, uint>, destination, [narrow]);
        }
    }

    /// <summary>Parameters are known when the kernel is launched: a load only copies.</summary>
    private void LoadParameters(IReadOnlyList<PtxOperand> elements, PtxType type)
    {
        PtxOperand address = Operand(1);
        if (address.Variable is not { Space: PtxSpace.Parameter } parameter)
        {
            throw Unsupported($"{address} in '{_instruction.Name}'", "a parameter's name and a constant");
        }

        long size = type.Size();
        for (int i = 0; i < elements.Count; i++)
        {
            long offset = (long)address.Bits + (size * i);
            if (offset < 0 || offset > parameter.Size - size || (parameter.Offset + offset) % size != 0)
            {
                throw Unsupported($"{size} bytes at {offset} of parameter '{parameter.Name}'", $"an aligned place within its {parameter.Size} bytes");
            }

            PtxType held = elements[i].Register is PtxRegister register && register.Type.Size() > size ? register.Type : type;
            int destination = Destination(elements[i], held);
            ulong place = (ulong)(parameter.Offset + offset) | ((ulong)size << 32) | (type.IsSigned() ? 1UL << 40 : 0);
            Copy(destination, Input(Registers[destination].Class, ValueSource.Parameter, place));
        }
    }

    private void SelectStore()
    {
        DropHints();
        PtxSpace space = TakeSpace();
        int count = TakeLanes();
        PtxType type = _modifiers.TakeType();
        RequireOperands(2, 3);
        if (type is PtxType.None or PtxType.Predicate or PtxType.B128 || space is PtxSpace.Constant or PtxSpace.Parameter)
        {
            throw Refuse();
        }

        IReadOnlyList<PtxOperand> elements = Elements(1, count);
        (int register, bool isWide, long offset) = Address(0, space);
        int[] uses = [register, .. elements.Select(element => StoreSource(element, type))];
        General(OpClass.Store, &MemoryInstructions.Store, [], uses, offset, (byte)type.Size(), count, space, isWideAddress: isWide);
    }

    /// <summary>A register larger than the element may be stored: the bits above do not count.</summary>
    private int StoreSource(PtxOperand operand, PtxType type) => operand.Kind == PtxOperandKind.Register && operand.Register!.Type.Size() > type.Size()
        ? Convert(Map(operand.Register), type)
        : Source(operand, type);

    private void SelectAtomic()
    {
        DropHints();
        bool isReduction = _modifiers.Opcode == "red";
        PtxSpace space = TakeSpace();
        string? operation = _modifiers.TakeAny("exch", "cas", "add", "and", "or", "xor", "min", "max", "inc", "dec");
        PtxType type = _modifiers.TakeType();
        AtomicInstructions.Operation chosen = OperationOf(operation, type);
        bool isSwap = chosen == AtomicInstructions.Operation.CompareAndSwap;
        int first = isReduction ? 0 : 1;
        RequireOperands(first + (isSwap ? 3 : 2), first + (isSwap ? 3 : 2));
        (int register, bool isWide, long offset) = Address(first, space);
        int[] uses = isSwap ? [register, Source(first + 1, type), Source(first + 2, type)] : [register, Source(first + 1, type)];
        int[] definitions = isReduction ? [] : [Destination(0, type)];
        General(OpClass.Atomic, &AtomicInstructions.Execute, definitions, uses, offset, (byte)type.Size(), definitions.Length, space, (byte)chosen, isWide);
    }

    private AtomicInstructions.Operation OperationOf(string? operation, PtxType type) => (operation, type) switch
    {
        ("exch", PtxType.B32 or PtxType.B64) => AtomicInstructions.Operation.Exchange,
        ("cas", PtxType.B32 or PtxType.B64 or PtxType.B16) => AtomicInstructions.Operation.CompareAndSwap,
        ("add", PtxType.U32 or PtxType.S32 or PtxType.U64 or PtxType.S64) => AtomicInstructions.Operation.Add,
        ("add", PtxType.F32) => AtomicInstructions.Operation.AddF32,
        ("add", PtxType.F64) => AtomicInstructions.Operation.AddF64,
        ("add", PtxType.F16x2) => AtomicInstructions.Operation.AddF16x2,
        ("add", PtxType.F16) => AtomicInstructions.Operation.AddF16,
        ("add", PtxType.BF16x2) => AtomicInstructions.Operation.AddBF16x2,
        ("add", PtxType.BF16) => AtomicInstructions.Operation.AddBF16,
        ("and", PtxType.B32 or PtxType.B64) => AtomicInstructions.Operation.And,
        ("or", PtxType.B32 or PtxType.B64) => AtomicInstructions.Operation.Or,
        ("xor", PtxType.B32 or PtxType.B64) => AtomicInstructions.Operation.Xor,
        ("min", PtxType.U32 or PtxType.U64) => AtomicInstructions.Operation.Min,
        ("max", PtxType.U32 or PtxType.U64) => AtomicInstructions.Operation.Max,
        ("min", PtxType.S32 or PtxType.S64) => AtomicInstructions.Operation.MinSigned,
        ("max", PtxType.S32 or PtxType.S64) => AtomicInstructions.Operation.MaxSigned,
        ("inc", PtxType.U32) => AtomicInstructions.Operation.Increment,
        ("dec", PtxType.U32) => AtomicInstructions.Operation.Decrement,
        _ => throw Refuse(),
    };

    private void SelectMatrix()
    {
        switch (_modifiers.Opcode)
        {
            case "cp":
                SelectAsyncCopy();
                break;
            case "mma":
                SelectMultiplyAdd();
                break;
            default:
                SelectMatrixMove();
                break;
        }
    }

    private void SelectAsyncCopy()
    {
        RequireTarget(80);
        if (!_modifiers.Take("async"))
        {
            throw Refuse();
        }

        if (_modifiers.Take("commit_group"))
        {
            RequireOperands(0, 0);
            General(OpClass.Order, &CopyQueue.Commit, [], []);
            return;
        }

        if (_modifiers.Take("wait_all"))
        {
            RequireOperands(0, 0);
            General(OpClass.Order, &CopyQueue.Wait, [], [], -1);
            return;
        }

        if (_modifiers.Take("wait_group"))
        {
            RequireOperands(1, 1);
            PtxOperand groups = Operand(0);
            General(OpClass.Order, &CopyQueue.Wait, [], [], groups.Kind == PtxOperandKind.Integer && groups.Bits <= int.MaxValue ? (long)groups.Bits : throw Refuse());
            return;
        }

        bool isAroundL1 = _modifiers.TakeAny("ca", "cg") switch { "ca" => false, "cg" => true, _ => throw Refuse() };
        if (_modifiers.TakeAny("shared", "shared::cta") is null || !_modifiers.Take("global"))
        {
            throw Refuse();
        }

        _modifiers.Drop(part => part.StartsWith("L2::", StringComparison.Ordinal));
        RequireOperands(3, 4);
        PtxOperand size = Operand(2);
        if (size.Kind != PtxOperandKind.Integer || size.Bits is not (4 or 8 or 16) || (isAroundL1 && size.Bits != 16))
        {
            throw Unsupported($"{size} bytes in '{_instruction.Name}'", isAroundL1 ? "16" : "4, 8 or 16");
        }

        (int destination, bool isWide, long destinationOffset) = Address(0, PtxSpace.Shared);
        (int source, bool isWideSource, long sourceOffset) = Address(1, PtxSpace.Global);
        if (destinationOffset != (int)destinationOffset || sourceOffset != (int)sourceOffset)
        {
            throw Unsupported("an address's constant beyond 32 bits", "a smaller one");
        }

        bool hasLength = _instruction.Operands.Count == 4;
        int[] uses = hasLength ? [destination, source, LengthOf(Operand(3), (uint)size.Bits)] : [destination, source];
        byte variant = (byte)((hasLength ? CopyQueue.HasLength : 0) | (isWideSource ? CopyQueue.IsWideSource : 0));
        General(OpClass.AsyncCopy, &CopyQueue.Issue, [], uses, (sourceOffset << 32) | (uint)destinationOffset, (byte)size.Bits, 0, PtxSpace.Shared, variant, isWide);
    }

    /// <summary>How many bytes to read: a number, or nothing where the predicate <c>ignore-src</c> is true.</summary>
    private int LengthOf(PtxOperand operand, uint size)
    {
        if (operand.Register?.Type != PtxType.Predicate)
        {
            return Source(operand, PtxType.U32);
        }

        int length = NewRegister(RegisterClass.Row32);
        Row(OpClass.Alu, &MoveInstructions.Select, length, [Constant32(0), Constant32(size), Source(operand, PtxType.Predicate)], isGuarded: false);
        return length;
    }

    private void SelectMultiplyAdd()
    {
        bool hasSync = _modifiers.Take("sync");
        bool isAligned = _modifiers.Take("aligned");
        string? shape = _modifiers.TakeAny("m8n8k16", "m16n8k4", "m16n8k8", "m16n8k16", "m16n8k32");
        bool isRowColumn = _modifiers.Take("row") && _modifiers.Take("col");
        bool isSaturated = _modifiers.Take("satfinite");
        PtxType d = _modifiers.TakeType();
        PtxType a = _modifiers.TakeType();
        PtxType b = _modifiers.TakeType();
        PtxType c = _modifiers.TakeType();
        if (!hasSync || !isAligned || !isRowColumn || shape is null || c != d)
        {
            throw Refuse();
        }

        ReadOnlySpan<char> depth = shape.AsSpan(shape.IndexOf('k', StringComparison.Ordinal) + 1);
        MatrixForm form = new(shape[1] == '8' ? 8 : 16, int.Parse(depth, CultureInfo.InvariantCulture), a, b, c, isSaturated, _target.MatrixSums);
        if (!form.IsSupported)
        {
            throw Refuse();
        }

        bool isOld = (form.M == 16 && form.K == 8 && a == PtxType.F16) || form.M == 8;
        RequireTarget(isOld ? 75 : 80);
        RequireOperands(4, 4);
        int[] definitions = [.. Elements(0, form.RegistersOfC).Select(element => Destination(element, TypeOfFragment(d)))];
        int[] uses =
        [
            .. Elements(1, form.RegistersOfA).Select(element => Source(element, PtxType.B32)),
            .. Elements(2, form.RegistersOfB).Select(element => Source(element, PtxType.B32)),
            .. Elements(3, form.RegistersOfC).Select(element => Source(element, TypeOfFragment(c))),
        ];
        General(OpClass.Tensor, &MatrixInstructions.MultiplyAdd, definitions, uses, MatrixInstructions.Pack(form));
    }

    private static PtxType TypeOfFragment(PtxType type) => type == PtxType.F32 ? PtxType.F32 : PtxType.B32;

    private void SelectMatrixMove()
    {
        bool isLoad = _modifiers.Opcode == "ldmatrix";
        RequireTarget(isLoad ? 75 : 90);
        if (!_modifiers.Take("sync") || !_modifiers.Take("aligned") || !_modifiers.Take("m8n8"))
        {
            throw Refuse();
        }

        int matrices = _modifiers.TakeAny("x1", "x2", "x4") switch { "x1" => 1, "x2" => 2, "x4" => 4, _ => throw Refuse() };
        bool isTransposed = _modifiers.Take("trans");
        PtxSpace space = TakeSpace();
        RequireOperands(2, 2);
        if (_modifiers.TakeType() != PtxType.B16 || space is not (PtxSpace.Shared or PtxSpace.Generic))
        {
            throw Refuse();
        }

        (int register, bool isWide, long offset) = Address(isLoad ? 1 : 0, space);
        byte variant = (byte)(isTransposed ? 1 : 0);
        IReadOnlyList<PtxOperand> elements = Elements(isLoad ? 0 : 1, matrices);
        if (isLoad)
        {
            int[] definitions = [.. elements.Select(element => Destination(element, PtxType.B32))];
            General(OpClass.MatrixLoad, &MatrixInstructions.Load, definitions, [register], offset, MatrixMove.RowBytes, matrices, space, variant, isWide);
        }
        else
        {
            int[] uses = [register, .. elements.Select(element => Source(element, PtxType.B32))];
            General(OpClass.Store, &MatrixInstructions.Store, [], uses, offset, MatrixMove.RowBytes, matrices, space, variant, isWide);
        }
    }
}
