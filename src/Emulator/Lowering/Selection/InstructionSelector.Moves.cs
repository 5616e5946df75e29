namespace KernelAD.Emulator;

/// <content>Data movement within registers, and conversions.</content>
internal sealed unsafe partial class InstructionSelector
{
    private void SelectMove()
    {
        switch (_modifiers.Opcode)
        {
            case "mov":
                SelectMov();
                break;
            case "selp":
                PtxType type = _modifiers.TakeType();
                RequireOperands(4, 4);
                Choose(Destination(0, type), Source(1, type), Source(2, type), Source(3, PtxType.Predicate));
                break;
            case "slct":
                SelectSlct();
                break;
            case "cvta":
                SelectCvta();
                break;
            case "isspacep":
                SelectIsSpace();
                break;
            case "prmt":
                if (_modifiers.TakeAny("f4e", "b4e", "rc8", "ecl", "ecr", "rc16") is not null)
                {
                    throw Refuse();
                }

                Three(OpClass.Alu, _modifiers.TakeType(), PtxType.B32, &Lanes.Scalar<IntegerFunctions.Permute, uint, uint, uint, uint>);
                break;
            default:
                SelectCvt();
                break;
        }
    }

    private void SelectMov()
    {
        PtxType type = _modifiers.TakeType();
        RequireOperands(2, 2);
        if (type == PtxType.None)
        {
            throw Refuse();
        }

        if (Operand(1).Kind == PtxOperandKind.Vector)
        {
            Pack(Destination(0, type), Operand(1).Elements, type);
        }
        else if (Operand(0).Kind == PtxOperandKind.Vector)
        {
            Unpack(Operand(0).Elements, Source(1, type), type);
        }
        else
        {
            int source = Source(1, type);
            Copy(Destination(0, type), source);
        }
    }

    private void Pack(int destination, IReadOnlyList<PtxOperand> elements, PtxType type)
    {
        switch (type.Size(), elements.Count)
        {
            case (4, 2):
                PackHalves(destination, Source(elements[0], PtxType.B16), Source(elements[1], PtxType.B16));
                break;
            case (8, 2):
                PackWords(destination, Source(elements[0], PtxType.B32), Source(elements[1], PtxType.B32), true);
                break;
            case (8, 4):
                int low = NewRegister(RegisterClass.Row32);
                int high = NewRegister(RegisterClass.Row32);
                PackHalves(low, Source(elements[0], PtxType.B16), Source(elements[1], PtxType.B16), false);
                PackHalves(high, Source(elements[2], PtxType.B16), Source(elements[3], PtxType.B16), false);
                PackWords(destination, low, high, true);
                break;
            default:
                throw Unsupported($"{elements.Count} elements for {8 * type.Size()} bits", "halves of 32 bits, or words or halves of 64 bits");
        }
    }

    private void PackHalves(int destination, int low, int high, bool isGuarded = true) =>
        Row(OpClass.Alu, &Lanes.Binary<IntegerFunctions.PackHalves>, destination, [low, high], isGuarded: isGuarded);

    private void PackWords(int destination, int low, int high, bool isGuarded) =>
        Row(OpClass.Alu, &Lanes.Scalar<IntegerFunctions.PackWords, ulong, uint, uint, uint>, destination, [low, high], isGuarded: isGuarded);

    private void Unpack(IReadOnlyList<PtxOperand> elements, int source, PtxType type)
    {
        switch (type.Size(), elements.Count)
        {
            case (4, 2):
                UnpackHalves(elements[0], elements[1], source);
                break;
            case (8, 2):
                UnpackWord(Destination(elements[0], PtxType.B32), source, false);
                UnpackWord(Destination(elements[1], PtxType.B32), source, true);
                break;
            case (8, 4):
                int low = NewRegister(RegisterClass.Row32);
                int high = NewRegister(RegisterClass.Row32);
                UnpackWord(low, source, false, false);
                UnpackWord(high, source, true, false);
                UnpackHalves(elements[0], elements[1], low);
                UnpackHalves(elements[2], elements[3], high);
                break;
            default:
                throw Unsupported($"{elements.Count} elements for {8 * type.Size()} bits", "halves of 32 bits, or words or halves of 64 bits");
        }
    }

    private void UnpackWord(int destination, int source, bool isHigh, bool isGuarded = true)
    {
        if (isHigh)
        {
            Row(OpClass.Alu, &Lanes.Scalar<IntegerFunctions.HighWord, uint, ulong, uint, uint>, destination, [source], isGuarded: isGuarded);
        }
        else
        {
            Row(OpClass.Alu, &Lanes.Scalar<IntegerFunctions.LowWord, uint, ulong, uint, uint>, destination, [source], isGuarded: isGuarded);
        }
    }

    private void UnpackHalves(PtxOperand low, PtxOperand high, int source)
    {
        Row(OpClass.Alu, &Lanes.Unary<IntegerFunctions.ZeroExtend16>, Destination(low, PtxType.B16), [source]);
        Row(OpClass.Alu, &Lanes.Unary<IntegerFunctions.HighHalf>, Destination(high, PtxType.B16), [source]);
    }

    private void Choose(int destination, int whereTrue, int whereFalse, int predicate)
    {
        switch (Registers[destination].Class)
        {
            case RegisterClass.Row32:
                Row(OpClass.Alu, &MoveInstructions.Select, destination, [whereTrue, whereFalse, predicate]);
                break;
            case RegisterClass.Row64:
                Row(OpClass.Alu, &MoveInstructions.Select64, destination, [whereTrue, whereFalse, predicate]);
                break;
            default:
                throw Refuse();
        }
    }

    /// <summary>The first source where the third is not negative.</summary>
    private void SelectSlct()
    {
        bool isFlushed = _modifiers.Take("ftz");
        PtxType type = _modifiers.TakeType();
        PtxType sign = _modifiers.TakeType();
        RequireOperands(4, 4);
        int value = Source(3, sign);
        int isChosen = NewRegister(RegisterClass.Predicate);
        if (sign == PtxType.F32 && isFlushed)
        {
            Predicate(OpClass.Alu, &Lanes.Compare<ComparisonFunctions.Flushed<ComparisonFunctions.LessOrEqualFloat>>, isChosen, [Constant32(0), value], isGuarded: false);
        }
        else if (sign == PtxType.F32)
        {
            Predicate(OpClass.Alu, &Lanes.Compare<ComparisonFunctions.LessOrEqualFloat>, isChosen, [Constant32(0), value], isGuarded: false);
        }
        else
        {
            Predicate(OpClass.Alu, &Lanes.Compare<ComparisonFunctions.LessSigned>, isChosen, [Constant32(uint.MaxValue), value], isGuarded: false);
        }

        Choose(Destination(0, type), Source(1, type), Source(2, type), isChosen);
    }

    private PtxSpace TakeSpace() => _modifiers.TakeAny("global", "shared", "shared::cta", "local", "const", "param") switch
    {
        "global" => PtxSpace.Global,
        "shared" or "shared::cta" => PtxSpace.Shared,
        "local" => PtxSpace.Local,
        "const" => PtxSpace.Constant,
        "param" => PtxSpace.Parameter,
        _ => PtxSpace.Generic,
    };

    private void SelectCvta()
    {
        bool isToSpace = _modifiers.Take("to");
        ulong start = AddressSpaces.Base(TakeSpace() is PtxSpace space and (PtxSpace.Global or PtxSpace.Shared or PtxSpace.Local) ? space : throw Refuse());
        PtxType type = _modifiers.TakeType();
        RequireOperands(2, 2);
        if (type.Size() != 8)
        {
            throw Unsupported($"'{_instruction.Name}'", "a 64-bit type: generic addresses have 64 bits");
        }

        PtxOperand operand = Operand(1);
        int source = Source(operand.Kind == PtxOperandKind.Address ? operand with { Kind = PtxOperandKind.Symbol } : operand, type);
        int destination = Destination(0, type);
        if (start == 0)
        {
            Copy(destination, source);
        }
        else
        {
            Row(OpClass.Alu, &Lanes.Binary64<IntegerFunctions.Add64>, destination, [source, Constant(RegisterClass.Row64, isToSpace ? 0 - start : start)]);
        }
    }

    /// <summary>Whether an address lies in a window: (address − start) is less than its size. Global addresses are those in no window.</summary>
    private void SelectIsSpace()
    {
        PtxSpace space = TakeSpace();
        RequireOperands(2, 2);
        int address = Source(1, PtxType.B64);
        int destination = Destination(0, PtxType.Predicate);
        if (space == PtxSpace.Global)
        {
            Predicate(OpClass.Alu, &Lanes.Compare64<ComparisonFunctions.Less>, destination, [Constant(RegisterClass.Row64, GlobalMemory.FirstAddress - 1), address]);
            return;
        }

        if (space is not (PtxSpace.Shared or PtxSpace.Local))
        {
            throw Refuse();
        }

        int offset = NewRegister(RegisterClass.Row64);
        Row(OpClass.Alu, &Lanes.Binary64<IntegerFunctions.Subtract64>, offset, [address, Constant(RegisterClass.Row64, AddressSpaces.Base(space))], isGuarded: false);
        Predicate(OpClass.Alu, &Lanes.Compare64<ComparisonFunctions.Less>, destination, [offset, Constant(RegisterClass.Row64, AddressSpaces.Window)]);
    }

    private void SelectCvt()
    {
        if (_modifiers.Take("pack"))
        {
            throw Refuse();
        }

        string? rounding = _modifiers.TakeAny("rn", "rz", "rm", "rp", "rna", "rni", "rzi", "rmi", "rpi");
        bool isFlushed = _modifiers.Take("ftz");
        bool isSaturated = _modifiers.Take("sat") || _modifiers.Take("satfinite");
        bool isRectified = _modifiers.Take("relu");
        PtxType to = _modifiers.TakeType();
        PtxType from = _modifiers.TakeType();
        Rounding direction = RoundingOf(rounding);
        if (to is PtxType.F16x2 or PtxType.BF16x2)
        {
            RequireTarget(80);
            RequireOperands(3, 3);
            if (from != PtxType.F32)
            {
                throw Refuse();
            }

            Conversion halves = new(to == PtxType.F16x2 ? PtxType.F16 : PtxType.BF16, from, direction, false, isFlushed, isSaturated, isRectified);
            Row(OpClass.Special, &ArithmeticInstructions.ConvertPacked, Destination(0, PtxType.B32), [Source(1, from), Source(2, from)], ArithmeticInstructions.Pack(halves));
            return;
        }

        RequireOperands(2, 2);
        if (to is PtxType.TF32 or PtxType.BF16 || from is PtxType.BF16)
        {
            RequireTarget(80);
        }

        if (!IsConvertible(to) || !IsConvertible(from))
        {
            throw Refuse();
        }

        int source = WideSource(1, from);
        PtxOperand operand = Operand(0);
        bool isLarger = operand.Kind == PtxOperandKind.Register && !to.IsFloat() && operand.Register!.Type.Size() > to.Size() && to.Size() <= 4;
        PtxType held = isLarger && operand.Register!.Type.Size() == 8 ? PtxType.B64 : operand.Kind == PtxOperandKind.Register && to.Size() < 2 ? operand.Register!.Type : to;
        int destination = Destination(0, isLarger ? operand.Register!.Type : held);
        if (ClassOf(held) == RegisterClass.Row64 && to.Size() < 8)
        {
            int narrow = NewRegister(RegisterClass.Row32);
            Convert(narrow, source, new(to, from, direction, IsIntegral(rounding, to, from), isFlushed, isSaturated, isRectified), false);
            if (to.IsSigned())
            {
                Row(OpClass.Alu, &Lanes.Scalar<IntegerFunctions.WidenSigned, long, int, uint, uint>, destination, [narrow]);
            }
            else
            {
                Row(OpClass.Alu, &Lanes.Scalar<IntegerFunctions.Widen, ulong, uint, uint, uint>, destination, [narrow]);
            }
        }
        else
        {
            Convert(destination, source, new(to, from, direction, IsIntegral(rounding, to, from), isFlushed, isSaturated, isRectified), true);
        }
    }

    private static bool IsConvertible(PtxType type) =>
        type is not (PtxType.None or PtxType.B8 or PtxType.B16 or PtxType.B32 or PtxType.B64 or PtxType.B128 or PtxType.Predicate or PtxType.F16x2 or PtxType.BF16x2);

    private static bool IsIntegral(string? rounding, PtxType to, PtxType from) => rounding is "rni" or "rzi" or "rmi" or "rpi" && to.IsFloat() && from.IsFloat();

    private static Rounding RoundingOf(string? modifier) => modifier switch
    {
        "rz" or "rzi" => Rounding.Zero,
        "rm" or "rmi" => Rounding.Down,
        "rp" or "rpi" => Rounding.Up,
        "rna" => Rounding.NearestAway,
        _ => Rounding.NearestEven,
    };

    /// <summary>A source that may lie in a register larger than its type: the bits above do not count.</summary>
    private int WideSource(int index, PtxType type)
    {
        PtxOperand operand = Operand(index);
        if (operand.Kind == PtxOperandKind.Register && operand.Register!.Type.Size() > type.Size())
        {
            return Convert(Map(operand.Register!), type);
        }

        return Source(operand, type);
    }

    private void Convert(int destination, int source, Conversion form, bool isGuarded)
    {
        bool isPlain = !form.To.IsFloat() && !form.From.IsFloat() && !form.Saturate;
        switch (form.From.Size(), form.To.Size())
        {
            case (4, 4) when isPlain:
                Row(OpClass.Alu, &MoveInstructions.Copy, destination, [source], isGuarded: isGuarded, isCopy: true);
                break;
            case (8, 8) when isPlain:
                Row(OpClass.Alu, &MoveInstructions.Copy64, destination, [source], isGuarded: isGuarded, isCopy: true);
                break;
            case (4, 8) when isPlain && form.From.IsSigned():
                Row(OpClass.Alu, &Lanes.Scalar<IntegerFunctions.WidenSigned, long, int, uint, uint>, destination, [source], isGuarded: isGuarded);
                break;
            case (4, 8) when isPlain:
                Row(OpClass.Alu, &Lanes.Scalar<IntegerFunctions.Widen, ulong, uint, uint, uint>, destination, [source], isGuarded: isGuarded);
                break;
            case (8, 4) when isPlain:
                Row(OpClass.Alu, &Lanes.Scalar<IntegerFunctions.LowWord, uint, ulong, uint, uint>, destination, [source], isGuarded: isGuarded);
                break;
            default:
                Row(isPlain ? OpClass.Alu : OpClass.Special, &ArithmeticInstructions.Convert, destination, [source], ArithmeticInstructions.Pack(form), isGuarded: isGuarded);
                break;
        }
    }
}
