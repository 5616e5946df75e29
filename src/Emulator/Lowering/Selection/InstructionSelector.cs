namespace KernelAD.Emulator;

/// <summary>
/// Chooses for each PTX instruction of a kernel the operations that do it. Everything is understood here, when the module is loaded, or refused.
/// </summary>
internal sealed unsafe partial class InstructionSelector
{
    private readonly string _module;
    private readonly EmulatedTarget _target;
    private readonly int[] _ofRegister;
    private readonly Dictionary<VirtualRegister, int> _inputs = [];
    private readonly PtxInstruction _instruction;
    private readonly Modifiers _modifiers;
    private int _carry = -1;

    /// <summary>Begins with a kernel.</summary>
    /// <param name="module">The module's name, for errors.</param>
    /// <param name="entry">The kernel; its variables have their places.</param>
    /// <param name="target">The device.</param>
    public InstructionSelector(string module, PtxEntry entry, EmulatedTarget target)
    {
        _module = module;
        _target = target;
        _ofRegister = new int[entry.Registers];
        Array.Fill(_ofRegister, -1);
        HashSet<int> targets = [.. entry.Instructions.Where(instruction => instruction.Target >= 0).Select(instruction => instruction.Target)];

        // The ways of a branch may meet right behind another one, where no label is: at the exit of a loop.
        targets.UnionWith(entry.Instructions.Select((instruction, i) => instruction.Target >= 0 && instruction.Guard is not null ? i + 1 : -1));
        PtxInstruction end = new("ret", [], entry.Instructions.Count > 0 ? entry.Instructions[^1].Line : entry.Line, null);
        _instruction = end;
        _modifiers = new("ret");
        for (int i = 0; i <= entry.Instructions.Count; i++)
        {
            _instruction = i < entry.Instructions.Count ? entry.Instructions[i] : end;
            if (targets.Contains(i))
            {
                Ops.Add(new() { Kind = OpKind.Join, Class = OpClass.None, Target = i, Instruction = _instruction });
            }

            _modifiers = new(_instruction.Name);
            Select();
            if (!_modifiers.IsEmpty)
            {
                throw Unsupported($"the modifiers '{_modifiers.Rest}' of '{_instruction.Name}'");
            }
        }
    }

    /// <summary>The operations.</summary>
    public List<LoweredOp> Ops { get; } = [];

    /// <summary>The virtual registers that they use.</summary>
    public List<VirtualRegister> Registers { get; } = [];

    private void Select()
    {
        switch (_modifiers.Opcode)
        {
            case "mov" or "selp" or "slct" or "cvta" or "isspacep" or "cvt" or "prmt":
                SelectMove();
                break;
            case "ld" or "ldu" or "st" or "atom" or "red" or "prefetch" or "prefetchu" or "applypriority" or "discard":
                SelectMemory();
                break;
            case "cp" or "ldmatrix" or "stmatrix" or "mma":
                SelectMatrix();
                break;
            case "setp" or "set" or "testp":
                SelectComparison();
                break;
            case "bra" or "ret" or "exit" or "trap" or "bar" or "barrier" or "membar" or "fence" or "nanosleep" or "brkpt" or "griddepcontrol":
                SelectControl();
                break;
            case "shfl" or "vote" or "match" or "redux" or "activemask" or "elect":
                SelectWarp();
                break;
            default:
                SelectArithmetic();
                break;
        }
    }

    private PtxException Unsupported(string found, string? expected = null) =>
        new(_module, _instruction.Line, found, expected ?? "an instruction that the emulator supports");

    private PtxException Refuse() => Unsupported($"'{_instruction.Name}'");

    private void RequireTarget(int number)
    {
        if (_target.Number < number)
        {
            throw Unsupported($"'{_instruction.Name}' for {_target.Name}", $"sm_{number} or newer for it");
        }
    }

    private PtxOperand Operand(int index) => index < _instruction.Operands.Count
        ? _instruction.Operands[index]
        : throw Unsupported($"{_instruction.Operands.Count} operands of '{_instruction.Name}'", $"at least {index + 1}");

    private void RequireOperands(int least, int most)
    {
        int count = _instruction.Operands.Count;
        if (count < least || count > most)
        {
            throw Unsupported($"{count} operands of '{_instruction.Name}'", least == most ? $"{least}" : $"{least} to {most}");
        }
    }

    private static RegisterClass ClassOf(PtxType type) =>
        type == PtxType.Predicate ? RegisterClass.Predicate : type.Size() == 8 ? RegisterClass.Row64 : RegisterClass.Row32;

    private int NewRegister(RegisterClass kind)
    {
        Registers.Add(new(kind, ValueSource.Computed, 0));
        return Registers.Count - 1;
    }

    private int Input(RegisterClass kind, ValueSource source, ulong value)
    {
        VirtualRegister register = new(kind, source, value);
        if (!_inputs.TryGetValue(register, out int index))
        {
            index = Registers.Count;
            Registers.Add(register);
            _inputs.Add(register, index);
        }

        return index;
    }

    private int Constant(RegisterClass kind, ulong value) => Input(kind, ValueSource.Constant, kind == RegisterClass.Row64 ? value : (uint)value);

    private int Constant32(uint value) => Constant(RegisterClass.Row32, value);

    private bool IsConstant(int register, out ulong value)
    {
        value = Registers[register].Value;
        return Registers[register].Source == ValueSource.Constant;
    }

    private int Map(PtxRegister register)
    {
        if (_ofRegister[register.Index] < 0)
        {
            _ofRegister[register.Index] = NewRegister(ClassOf(register.Type));
        }

        return _ofRegister[register.Index];
    }

    /// <summary>The register that an operand of a type is read from.</summary>
    private int Source(int index, PtxType type) => Source(Operand(index), type);

    private int Source(PtxOperand operand, PtxType type)
    {
        switch (operand.Kind)
        {
            case PtxOperandKind.Register:
                RequireSize(operand, type);
                int register = Map(operand.Register!);
                if (!operand.IsNegated)
                {
                    return register;
                }

                int negated = NewRegister(RegisterClass.Predicate);
                Predicate(OpClass.Alu, &MoveInstructions.NotPredicate, negated, [register], isGuarded: false);
                return negated;
            case PtxOperandKind.Special:
                return Convert(Special(operand), type);
            case PtxOperandKind.Symbol:
                PtxVariable variable = operand.Variable!;
                return variable.Space is PtxSpace.Shared or PtxSpace.Local
                    ? Constant(ClassOf(type), (ulong)variable.Offset)
                    : throw Unsupported($"the address of '{variable.Name}'", "shared or local memory: the emulator keeps no others' addresses");
            case PtxOperandKind.Integer or PtxOperandKind.Float:
                return Constant(ClassOf(type), Bits(operand, type));
            default:
                throw Unsupported($"{operand} as a source of '{_instruction.Name}'", "a register or a number");
        }
    }

    private ulong Bits(PtxOperand operand, PtxType type)
    {
        if (operand.Kind == PtxOperandKind.Integer)
        {
            return type switch
            {
                PtxType.F32 => BitConverter.SingleToUInt32Bits((float)operand.Number),
                PtxType.F64 => BitConverter.DoubleToUInt64Bits(operand.Number),
                PtxType.Predicate => operand.Bits != 0 ? uint.MaxValue : 0,
                _ => type.Size() == 2 ? (ushort)operand.Bits : operand.Bits,
            };
        }

        return type switch
        {
            PtxType.F64 or PtxType.B64 => BitConverter.DoubleToUInt64Bits(operand.Number),
            PtxType.F32 or PtxType.B32 or PtxType.TF32 => operand.SingleBits ?? BitConverter.SingleToUInt32Bits((float)operand.Number),
            _ => throw Unsupported($"{operand} in '{_instruction.Name}'", "a number of the instruction's type"),
        };
    }

    /// <summary>
    /// Operands have the instruction's size; only 16-bit values may be kept in registers of 32 bits, as sub-word values are everywhere in PTX.
    /// </summary>
    private void RequireSize(PtxOperand operand, PtxType type)
    {
        PtxType own = operand.Register!.Type;
        if (ClassOf(own) != ClassOf(type) || (own.Size() == 2 && type.Size() == 4))
        {
            throw Unsupported($"register {operand} of {8 * own.Size()} bits in '{_instruction.Name}'", $"one of {8 * type.Size()} bits");
        }
    }

    private int Special(PtxOperand operand)
    {
        SpecialRegister? register = operand.Name switch
        {
            "%tid.x" => SpecialRegister.ThreadX,
            "%tid.y" => SpecialRegister.ThreadY,
            "%tid.z" => SpecialRegister.ThreadZ,
            "%ntid.x" => SpecialRegister.BlockSizeX,
            "%ntid.y" => SpecialRegister.BlockSizeY,
            "%ntid.z" => SpecialRegister.BlockSizeZ,
            "%ctaid.x" => SpecialRegister.BlockX,
            "%ctaid.y" => SpecialRegister.BlockY,
            "%ctaid.z" => SpecialRegister.BlockZ,
            "%nctaid.x" => SpecialRegister.GridSizeX,
            "%nctaid.y" => SpecialRegister.GridSizeY,
            "%nctaid.z" => SpecialRegister.GridSizeZ,
            "%laneid" => SpecialRegister.Lane,
            "%warpid" => SpecialRegister.WarpIndex,
            "%nwarpid" => SpecialRegister.WarpCount,
            "%lanemask_eq" => SpecialRegister.LaneMaskEqual,
            "%lanemask_lt" => SpecialRegister.LaneMaskLess,
            "%lanemask_le" => SpecialRegister.LaneMaskLessOrEqual,
            "%lanemask_gt" => SpecialRegister.LaneMaskGreater,
            "%lanemask_ge" => SpecialRegister.LaneMaskGreaterOrEqual,
            "%smid" => SpecialRegister.Multiprocessor,
            "%nsmid" => SpecialRegister.MultiprocessorCount,
            "%dynamic_smem_size" => SpecialRegister.DynamicSharedBytes,
            "%total_smem_size" => SpecialRegister.TotalSharedBytes,
            _ => null,
        };
        if (register is SpecialRegister known)
        {
            return Input(RegisterClass.Row32, ValueSource.Special, (ulong)known);
        }

        if (operand.Name == "WARP_SZ")
        {
            return Constant32(Warp.Lanes);
        }

        if (operand.Name is not ("%clock" or "%clock64" or "%clock_hi" or "%globaltimer" or "%globaltimer_lo"))
        {
            throw Unsupported($"'{operand.Name}'", "the name of a declared register, or of a special register that the emulator supports");
        }

        bool isWide = operand.Name is "%clock64" or "%globaltimer";
        int result = NewRegister(isWide ? RegisterClass.Row64 : RegisterClass.Row32);
        General(OpClass.Alu, &WarpInstructions.Clock, [result], [], isGuarded: false, size: (byte)(isWide ? 8 : 4));
        return result;
    }

    /// <summary>A 32-bit register's value as 64 bits, or the low half of a 64-bit one.</summary>
    private int Convert(int register, PtxType type)
    {
        RegisterClass kind = ClassOf(type);
        if (Registers[register].Class == kind)
        {
            return register;
        }

        int result = NewRegister(kind);
        if (kind == RegisterClass.Row64)
        {
            Row(OpClass.Alu, &Lanes.Scalar<IntegerFunctions.Widen, ulong, uint, uint, uint>, result, [register], isGuarded: false);
        }
        else
        {
            Row(OpClass.Alu, &Lanes.Scalar<IntegerFunctions.LowWord, uint, ulong, uint, uint>, result, [register], isGuarded: false);
        }

        return result;
    }

    /// <summary>The register that an operand of a type is written to.</summary>
    private int Destination(int index, PtxType type) => Destination(Operand(index), type);

    private int Destination(PtxOperand operand, PtxType type)
    {
        if (operand.Kind == PtxOperandKind.Sink)
        {
            return NewRegister(ClassOf(type));
        }

        if (operand.Kind != PtxOperandKind.Register || operand.IsNegated)
        {
            throw Unsupported($"{operand} as destination of '{_instruction.Name}'", "a register");
        }

        RequireSize(operand, type);
        return Map(operand.Register!);
    }

    /// <summary>The elements of a vector operand, or the one operand.</summary>
    private IReadOnlyList<PtxOperand> Elements(int index) => Operand(index) is { Kind: PtxOperandKind.Vector } vector ? vector.Elements : [Operand(index)];

    private IReadOnlyList<PtxOperand> Elements(int index, int count)
    {
        IReadOnlyList<PtxOperand> elements = Elements(index);
        return elements.Count == count ? elements : throw Unsupported($"{elements.Count} elements in '{_instruction.Name}'", $"{count}");
    }

    private int Guard(bool isGuarded) => isGuarded && _instruction.Guard is PtxRegister guard ? Map(guard) : -1;

    private void Row(
        OpClass kind, delegate*<byte*, Op*, byte*, void> handler, int destination, int[] uses, long immediate = 0, byte variant = 0, bool isGuarded = true, bool isCopy = false) => Ops.Add(new()
        {
            Kind = Registers[destination].Class == RegisterClass.Row64 ? OpKind.Row64 : OpKind.Row32,
            Class = kind,
            Handler = (nint)handler,
            Definitions = [destination],
            Uses = uses,
            Guard = Guard(isGuarded),
            IsGuardNegated = isGuarded && _instruction.IsGuardNegated,
            Immediate = immediate,
            Variant = variant,
            IsPure = true,
            IsCopy = isCopy,
            Instruction = _instruction,
        });

    private void Predicate(OpClass kind, delegate*<byte*, Op*, uint> handler, int destination, int[] uses, bool isGuarded = true, bool isCopy = false) => Ops.Add(new()
    {
        Kind = OpKind.Predicate,
        Class = kind,
        Handler = (nint)handler,
        Definitions = [destination],
        Uses = uses,
        Guard = Guard(isGuarded),
        IsGuardNegated = isGuarded && _instruction.IsGuardNegated,
        IsPure = true,
        IsCopy = isCopy,
        Instruction = _instruction,
    });

    private void General(
        OpClass kind,
        delegate*<WarpState, Op*, uint, void> handler,
        int[] definitions,
        int[] uses,
        long immediate = 0,
        byte size = 0,
        int elements = 1,
        PtxSpace space = PtxSpace.Generic,
        byte variant = 0,
        bool isWideAddress = false,
        bool isGuarded = true,
        OpKind how = OpKind.General) => Ops.Add(new()
        {
            Kind = how,
            Class = kind,
            Handler = (nint)handler,
            Definitions = definitions,
            Uses = uses,
            Guard = Guard(isGuarded),
            IsGuardNegated = isGuarded && _instruction.IsGuardNegated,
            Immediate = immediate,
            Size = size,
            Elements = (byte)elements,
            Space = space,
            Variant = variant,
            IsWideAddress = isWideAddress,
            Instruction = _instruction,
        });

    private void Copy(int destination, int source)
    {
        switch (Registers[destination].Class)
        {
            case RegisterClass.Row32:
                Row(OpClass.Alu, &MoveInstructions.Copy, destination, [source], isCopy: true);
                break;
            case RegisterClass.Row64:
                Row(OpClass.Alu, &MoveInstructions.Copy64, destination, [source], isCopy: true);
                break;
            default:
                Predicate(OpClass.Alu, &MoveInstructions.CopyPredicate, destination, [source], isCopy: true);
                break;
        }
    }

    /// <summary>A 16-bit source with defined bits above.</summary>
    private int Extend(int register, bool isSigned)
    {
        if (IsConstant(register, out ulong value))
        {
            return Constant32(isSigned ? (uint)(short)value : (ushort)value);
        }

        int result = NewRegister(RegisterClass.Row32);
        if (isSigned)
        {
            Row(OpClass.Alu, &Lanes.Unary<IntegerFunctions.SignExtend16>, result, [register], isGuarded: false);
        }
        else
        {
            Row(OpClass.Alu, &Lanes.Unary<IntegerFunctions.ZeroExtend16>, result, [register], isGuarded: false);
        }

        return result;
    }
}
