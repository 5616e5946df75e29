namespace KernelAD.Emulator;

/// <content>Integer and floating-point arithmetic, logic and shifts.</content>
internal sealed unsafe partial class InstructionSelector
{
    private void SelectArithmetic()
    {
        switch (_modifiers.Opcode)
        {
            case "add" or "sub" or "mul" or "mad" or "fma" or "div" or "min" or "max" or "neg" or "abs" or "rem":
                SelectTyped();
                break;
            case "addc" or "subc" or "madc":
                SelectCarry();
                break;
            case "and" or "or" or "xor" or "not" or "cnot" or "shl" or "shr" or "shf" or "lop3":
                SelectLogic();
                break;
            case "popc" or "clz" or "brev" or "bfind" or "bfe" or "bfi" or "fns" or "bmsk" or "sad" or "dp4a" or "mul24" or "mad24":
                SelectBits();
                break;
            default:
                SelectFunction();
                break;
        }
    }

    private void SelectTyped()
    {
        if (_modifiers.Opcode is "add" or "sub" && _modifiers.Take("cc"))
        {
            SelectCarry(isFirst: true);
            return;
        }

        string? part = _modifiers.TakeAny("lo", "hi", "wide");
        string? rounding = _modifiers.TakeAny("rn", "rz", "rm", "rp", "approx", "full");
        bool isFlushed = _modifiers.Take("ftz");
        bool isSaturated = _modifiers.Take("sat");
        bool propagatesNaN = _modifiers.Take("NaN");
        bool isRectified = _modifiers.Take("relu");
        PtxType type = _modifiers.TakeType();
        if (type.IsFloat())
        {
            if (part is not null)
            {
                throw Refuse();
            }

            SelectFloat(type, rounding, isFlushed, isSaturated, propagatesNaN, isRectified);
        }
        else
        {
            if (rounding is not null || isFlushed || propagatesNaN || isRectified || type is PtxType.None or PtxType.Predicate || type.Size() is 1 or 16)
            {
                throw Refuse();
            }

            SelectInteger(type, part, isSaturated);
        }
    }

    private void SelectInteger(PtxType type, string? part, bool isSaturated)
    {
        string opcode = _modifiers.Opcode;
        if (isSaturated)
        {
            if (type != PtxType.S32 || opcode is not ("add" or "sub"))
            {
                throw Refuse();
            }

            Two(OpClass.Alu, type, opcode == "add" ? &Lanes.Scalar<IntegerFunctions.AddSaturated, int, int, int, uint> : &Lanes.Scalar<IntegerFunctions.SubtractSaturated, int, int, int, uint>);
            return;
        }

        if (part == "wide")
        {
            SelectWide(type);
            return;
        }

        if (opcode is "mul" or "mad" && part is null)
        {
            throw Refuse();
        }

        if (type.Size() == 8)
        {
            SelectInteger64(opcode, type.IsSigned(), part == "hi", type);
            return;
        }

        if (type.Size() == 2 && (part == "hi" || opcode is "div" or "rem" or "min" or "max" or "abs"))
        {
            SelectHalfInteger(opcode, type.IsSigned(), part == "hi");
            return;
        }

        SelectInteger32(opcode, type.IsSigned(), part == "hi", type);
    }

    private void SelectInteger32(string opcode, bool isSigned, bool isHigh, PtxType type)
    {
        switch (opcode)
        {
            case "add":
                Two(OpClass.Alu, type, &Lanes.Binary<IntegerFunctions.Add>);
                break;
            case "sub":
                Two(OpClass.Alu, type, &Lanes.Binary<IntegerFunctions.Subtract>);
                break;
            case "mul":
                Two(OpClass.IntegerMultiply, type, HandlerOfMultiply(isSigned, isHigh));
                break;
            case "mad" when !isHigh:
                Three(OpClass.IntegerMultiply, type, type, &Lanes.Ternary<IntegerFunctions.MultiplyAdd>);
                break;
            case "mad":
                RequireOperands(4, 4);
                int product = NewRegister(RegisterClass.Row32);
                Row(OpClass.IntegerMultiply, HandlerOfMultiply(isSigned, true), product, [Source(1, type), Source(2, type)], isGuarded: false);
                Row(OpClass.Alu, &Lanes.Binary<IntegerFunctions.Add>, Destination(0, type), [product, Source(3, type)]);
                break;
            case "div" when isSigned:
                Two(OpClass.Alu, type, &Lanes.Scalar<IntegerFunctions.DivideSigned, int, int, int, uint>);
                break;
            case "div":
                Two(OpClass.Alu, type, &Lanes.Scalar<IntegerFunctions.Divide, uint, uint, uint, uint>);
                break;
            case "rem" when isSigned:
                Two(OpClass.Alu, type, &Lanes.Scalar<IntegerFunctions.RemainderSigned, int, int, int, uint>);
                break;
            case "rem":
                Two(OpClass.Alu, type, &Lanes.Scalar<IntegerFunctions.Remainder, uint, uint, uint, uint>);
                break;
            case "min":
                Two(OpClass.Alu, type, isSigned ? &Lanes.Binary<IntegerFunctions.MinSigned> : &Lanes.Binary<IntegerFunctions.MinUnsigned>);
                break;
            case "max":
                Two(OpClass.Alu, type, isSigned ? &Lanes.Binary<IntegerFunctions.MaxSigned> : &Lanes.Binary<IntegerFunctions.MaxUnsigned>);
                break;
            case "neg":
                One(OpClass.Alu, type, &Lanes.Unary<IntegerFunctions.Negate>);
                break;
            case "abs":
                One(OpClass.Alu, type, &Lanes.Unary<IntegerFunctions.Absolute>);
                break;
            default:
                throw Refuse();
        }
    }

    private static delegate*<byte*, Op*, byte*, void> HandlerOfMultiply(bool isSigned, bool isHigh) => isHigh
        ? isSigned ? &Lanes.Scalar<IntegerFunctions.MultiplyHighSigned, int, int, int, uint> : &Lanes.Scalar<IntegerFunctions.MultiplyHigh, uint, uint, uint, uint>
        : &Lanes.Binary<IntegerFunctions.Multiply>;

    /// <summary>Operations whose result depends on the bits above 16: sources are extended first. The high half of a product is taken from the whole.</summary>
    private void SelectHalfInteger(string opcode, bool isSigned, bool isHigh)
    {
        PtxType type = isSigned ? PtxType.S16 : PtxType.U16;
        int[] sources = [.. Enumerable.Range(1, opcode == "abs" ? 1 : 2).Select(index => Extend(Source(index, type), isSigned))];
        if (!isHigh)
        {
            RequireOperands(sources.Length + 1, sources.Length + 1);
            Row(OpClass.Alu, HandlerOfHalf(opcode, isSigned), Destination(0, type), sources);
            return;
        }

        RequireOperands(opcode == "mad" ? 4 : 3, opcode == "mad" ? 4 : 3);
        int product = NewRegister(RegisterClass.Row32);
        Row(OpClass.IntegerMultiply, &Lanes.Binary<IntegerFunctions.Multiply>, product, sources, isGuarded: false);
        int high = opcode == "mad" ? NewRegister(RegisterClass.Row32) : Destination(0, type);
        Row(OpClass.Alu, &Lanes.Unary<IntegerFunctions.HighHalf>, high, [product], isGuarded: opcode != "mad");
        if (opcode == "mad")
        {
            Row(OpClass.Alu, &Lanes.Binary<IntegerFunctions.Add>, Destination(0, type), [high, Source(3, type)]);
        }
    }

    private delegate*<byte*, Op*, byte*, void> HandlerOfHalf(string opcode, bool isSigned) => opcode switch
    {
        "div" => isSigned ? &Lanes.Scalar<IntegerFunctions.DivideSigned, int, int, int, uint> : &Lanes.Scalar<IntegerFunctions.Divide, uint, uint, uint, uint>,
        "rem" => isSigned ? &Lanes.Scalar<IntegerFunctions.RemainderSigned, int, int, int, uint> : &Lanes.Scalar<IntegerFunctions.Remainder, uint, uint, uint, uint>,
        "min" => isSigned ? &Lanes.Binary<IntegerFunctions.MinSigned> : &Lanes.Binary<IntegerFunctions.MinUnsigned>,
        "max" => isSigned ? &Lanes.Binary<IntegerFunctions.MaxSigned> : &Lanes.Binary<IntegerFunctions.MaxUnsigned>,
        "abs" => &Lanes.Unary<IntegerFunctions.Absolute>,
        _ => throw Refuse(),
    };

    private void SelectInteger64(string opcode, bool isSigned, bool isHigh, PtxType type)
    {
        switch (opcode)
        {
            case "add":
                Two(OpClass.Alu, type, &Lanes.Binary64<IntegerFunctions.Add64>);
                break;
            case "sub":
                Two(OpClass.Alu, type, &Lanes.Binary64<IntegerFunctions.Subtract64>);
                break;
            case "mul" when !isHigh:
                Two(OpClass.IntegerMultiply, type, &Lanes.Scalar<IntegerFunctions.Multiply64, ulong, ulong, ulong, uint>);
                break;
            case "mul" when isSigned:
                Two(OpClass.IntegerMultiply, type, &Lanes.Scalar<IntegerFunctions.MultiplyHighSigned64, long, long, long, uint>);
                break;
            case "mul":
                Two(OpClass.IntegerMultiply, type, &Lanes.Scalar<IntegerFunctions.MultiplyHigh64, ulong, ulong, ulong, uint>);
                break;
            case "mad" when !isHigh:
                Three(OpClass.IntegerMultiply, type, type, &Lanes.Scalar<IntegerFunctions.MultiplyAdd64, ulong, ulong, ulong, ulong>);
                break;
            case "div" when isSigned:
                Two(OpClass.Alu, type, &Lanes.Scalar<IntegerFunctions.DivideSigned64, long, long, long, uint>);
                break;
            case "div":
                Two(OpClass.Alu, type, &Lanes.Scalar<IntegerFunctions.Divide64, ulong, ulong, ulong, uint>);
                break;
            case "rem" when isSigned:
                Two(OpClass.Alu, type, &Lanes.Scalar<IntegerFunctions.RemainderSigned64, long, long, long, uint>);
                break;
            case "rem":
                Two(OpClass.Alu, type, &Lanes.Scalar<IntegerFunctions.Remainder64, ulong, ulong, ulong, uint>);
                break;
            case "min" when isSigned:
                Two(OpClass.Alu, type, &Lanes.Scalar<IntegerFunctions.MinSigned64, long, long, long, uint>);
                break;
            case "min":
                Two(OpClass.Alu, type, &Lanes.Scalar<IntegerFunctions.MinUnsigned64, ulong, ulong, ulong, uint>);
                break;
            case "max" when isSigned:
                Two(OpClass.Alu, type, &Lanes.Scalar<IntegerFunctions.MaxSigned64, long, long, long, uint>);
                break;
            case "max":
                Two(OpClass.Alu, type, &Lanes.Scalar<IntegerFunctions.MaxUnsigned64, ulong, ulong, ulong, uint>);
                break;
            case "neg":
                One(OpClass.Alu, type, &Lanes.Scalar<IntegerFunctions.Negate64, long, long, uint, uint>);
                break;
            case "abs":
                One(OpClass.Alu, type, &Lanes.Scalar<IntegerFunctions.Absolute64, long, long, uint, uint>);
                break;
            default:
                throw Refuse();
        }
    }

    /// <summary>Products of twice the sources' size.</summary>
    private void SelectWide(PtxType type)
    {
        bool isMad = _modifiers.Opcode == "mad";
        RequireOperands(isMad ? 4 : 3, isMad ? 4 : 3);
        bool isSigned = type.IsSigned();
        int a = Source(1, type);
        int b = Source(2, type);
        if (type.Size() == 2)
        {
            int[] sources = [Extend(a, isSigned), Extend(b, isSigned)];
            if (isMad)
            {
                Row(OpClass.IntegerMultiply, &Lanes.Ternary<IntegerFunctions.MultiplyAdd>, Destination(0, PtxType.B32), [.. sources, Source(3, PtxType.B32)]);
            }
            else
            {
                Row(OpClass.IntegerMultiply, &Lanes.Binary<IntegerFunctions.Multiply>, Destination(0, PtxType.B32), sources);
            }
        }
        else if (type.Size() == 4 && isMad)
        {
            Row(
                OpClass.IntegerMultiply,
                isSigned ? &Lanes.Scalar<IntegerFunctions.MultiplyAddWideSigned, long, int, int, long> : &Lanes.Scalar<IntegerFunctions.MultiplyAddWide, ulong, uint, uint, ulong>,
                Destination(0, PtxType.B64),
                [a, b, Source(3, PtxType.B64)]);
        }
        else if (type.Size() == 4 && _modifiers.Opcode == "mul")
        {
            Row(
                OpClass.IntegerMultiply,
                isSigned ? &Lanes.Scalar<IntegerFunctions.MultiplyWideSigned, long, int, int, uint> : &Lanes.Scalar<IntegerFunctions.MultiplyWide, ulong, uint, uint, uint>,
                Destination(0, PtxType.B64),
                [a, b]);
        }
        else
        {
            throw Refuse();
        }
    }

    /// <summary>Additions and subtractions that set the carry, use it, or both. The carry is computed first: the result may replace a source.</summary>
    private void SelectCarry(bool isFirst = false)
    {
        bool setsCarry = isFirst || _modifiers.Take("cc");
        PtxType type = _modifiers.TakeType();
        RequireOperands(3, 3);
        if (_modifiers.Opcode == "madc" || type.IsFloat() || type.Size() < 4)
        {
            throw Refuse();
        }

        if (_carry < 0)
        {
            _carry = NewRegister(RegisterClass.Row32);
        }

        int[] sources = [Source(1, type), Source(2, type), isFirst ? Constant32(0) : _carry];
        bool isAdd = _modifiers.Opcode.StartsWith("add", StringComparison.Ordinal);
        bool isWide = type.Size() == 8;
        int carry = NewRegister(RegisterClass.Row32);
        if (setsCarry)
        {
            Row(OpClass.None, (isAdd, isWide) switch
            {
                (true, false) => &Lanes.Scalar<IntegerFunctions.CarryOut, uint, uint, uint, uint>,
                (true, true) => &Lanes.Scalar<IntegerFunctions.CarryOut64, uint, ulong, ulong, uint>,
                (false, false) => &Lanes.Scalar<IntegerFunctions.BorrowOut, uint, uint, uint, uint>,
                _ => &Lanes.Scalar<IntegerFunctions.BorrowOut64, uint, ulong, ulong, uint>,
            }, carry, sources, isGuarded: false);
        }

        Row(OpClass.Alu, (isAdd, isWide) switch
        {
            (true, false) => &Lanes.Scalar<IntegerFunctions.AddWithCarry, uint, uint, uint, uint>,
            (true, true) => &Lanes.Scalar<IntegerFunctions.AddWithCarry64, ulong, ulong, ulong, uint>,
            (false, false) => &Lanes.Scalar<IntegerFunctions.SubtractWithBorrow, uint, uint, uint, uint>,
            _ => &Lanes.Scalar<IntegerFunctions.SubtractWithBorrow64, ulong, ulong, ulong, uint>,
        }, Destination(0, type), sources);
        if (setsCarry)
        {
            Copy(_carry, carry);
        }
    }

    private void SelectLogic()
    {
        string opcode = _modifiers.Opcode;
        if (opcode == "shf")
        {
            bool isLeft = _modifiers.TakeAny("l", "r") == "l";
            bool isWrapped = _modifiers.TakeAny("wrap", "clamp") == "wrap";
            PtxType word = _modifiers.TakeType();
            Three(OpClass.Alu, word, PtxType.U32, (isLeft, isWrapped) switch
            {
                (true, true) => &Lanes.Scalar<IntegerFunctions.FunnelLeftWrapped, uint, uint, uint, uint>,
                (true, false) => &Lanes.Scalar<IntegerFunctions.FunnelLeftClamped, uint, uint, uint, uint>,
                (false, true) => &Lanes.Scalar<IntegerFunctions.FunnelRightWrapped, uint, uint, uint, uint>,
                _ => &Lanes.Scalar<IntegerFunctions.FunnelRightClamped, uint, uint, uint, uint>,
            });
            return;
        }

        PtxType type = _modifiers.TakeType();
        if (type == PtxType.None || type.IsFloat() || type.Size() == 1)
        {
            throw Refuse();
        }

        switch (opcode)
        {
            case "lop3":
                RequireOperands(5, 5);
                if (type.Size() != 4 || Operand(4).Kind != PtxOperandKind.Integer)
                {
                    throw Refuse();
                }

                Row(OpClass.Alu, &MoveInstructions.Logic3, Destination(0, type), [Source(1, type), Source(2, type), Source(3, type)], (long)(Operand(4).Bits & 0xFF));
                break;
            case "shl" or "shr":
                SelectShift(opcode == "shl", type);
                break;
            case "not" when type == PtxType.Predicate:
                RequireOperands(2, 2);
                Predicate(OpClass.Alu, &MoveInstructions.NotPredicate, Destination(0, type), [Source(1, type)]);
                break;
            case "not":
                One(OpClass.Alu, type, type.Size() == 8 ? &Lanes.Scalar<IntegerFunctions.Not64, ulong, ulong, uint, uint> : &Lanes.Unary<IntegerFunctions.Not>);
                break;
            case "cnot" when type.Size() is 4:
                RequireOperands(2, 2);
                int isZero = NewRegister(RegisterClass.Predicate);
                Predicate(OpClass.Alu, &Lanes.Compare<ComparisonFunctions.Equal>, isZero, [Source(1, type), Constant32(0)], isGuarded: false);
                Choose(Destination(0, type), Constant32(1), Constant32(0), isZero);
                break;
            case "and" or "or" or "xor" when type == PtxType.Predicate:
                RequireOperands(3, 3);
                Predicate(OpClass.Alu, HandlerOfPredicates(opcode), Destination(0, type), [Source(1, type), Source(2, type)]);
                break;
            case "and":
                Two(OpClass.Alu, type, type.Size() == 8 ? &Lanes.Binary64<IntegerFunctions.And> : &Lanes.Binary<IntegerFunctions.And>);
                break;
            case "or":
                Two(OpClass.Alu, type, type.Size() == 8 ? &Lanes.Binary64<IntegerFunctions.Or> : &Lanes.Binary<IntegerFunctions.Or>);
                break;
            case "xor":
                Two(OpClass.Alu, type, type.Size() == 8 ? &Lanes.Binary64<IntegerFunctions.Xor> : &Lanes.Binary<IntegerFunctions.Xor>);
                break;
            default:
                throw Refuse();
        }
    }

    private static delegate*<byte*, Op*, uint> HandlerOfPredicates(string opcode) => opcode switch
    {
        "and" => &MoveInstructions.AndPredicates,
        "or" => &MoveInstructions.OrPredicates,
        _ => &MoveInstructions.XorPredicates,
    };

    private void SelectShift(bool isLeft, PtxType type)
    {
        RequireOperands(3, 3);
        bool isSigned = type.IsSigned() && !isLeft;
        int value = Source(1, type);
        if (type.Size() == 2 && !isLeft)
        {
            value = Extend(value, isSigned);
        }

        int amount = Source(2, PtxType.U32);
        int destination = Destination(0, type);
        bool isWide = type.Size() == 8;
        if (IsConstant(amount, out ulong constant) && constant < (isWide ? 64u : 32u) && !(isWide && isSigned))
        {
            Row(OpClass.Alu, (isWide, isLeft, isSigned) switch
            {
                (true, true, _) => &ConstantShifts.Left64,
                (true, false, _) => &ConstantShifts.Right64,
                (false, true, _) => &ConstantShifts.Left,
                (false, false, true) => &ConstantShifts.RightSigned,
                _ => &ConstantShifts.Right,
            }, destination, [value], (long)constant);
            return;
        }

        Row(OpClass.Alu, (isWide, isLeft, isSigned) switch
        {
            (true, true, _) => &Lanes.Scalar<IntegerFunctions.ShiftLeft64, ulong, ulong, uint, uint>,
            (true, false, true) => &Lanes.Scalar<IntegerFunctions.ShiftRightSigned64, long, long, uint, uint>,
            (true, false, false) => &Lanes.Scalar<IntegerFunctions.ShiftRight64, ulong, ulong, uint, uint>,
            (false, true, _) => &Lanes.Scalar<IntegerFunctions.ShiftLeft, uint, uint, uint, uint>,
            (false, false, true) => &Lanes.Scalar<IntegerFunctions.ShiftRightSigned, int, int, uint, uint>,
            _ => &Lanes.Scalar<IntegerFunctions.ShiftRight, uint, uint, uint, uint>,
        }, destination, [value, amount]);
    }

    private void SelectBits()
    {
        string opcode = _modifiers.Opcode;
        bool isShift = opcode == "bfind" && _modifiers.Take("shiftamt");
        string? part = opcode is "mul24" or "mad24" ? _modifiers.TakeAny("lo", "hi") : null;
        bool isClamped = opcode == "bmsk" && _modifiers.TakeAny("clamp", "wrap") == "clamp";
        PtxType type = _modifiers.TakeType();
        PtxType second = opcode == "dp4a" ? _modifiers.TakeType() : PtxType.None;
        bool isWide = type.Size() == 8;
        if (!isWide && type.Size() != 4)
        {
            throw Refuse();
        }

        switch (opcode)
        {
            case "popc":
                OneToWord(type, isWide ? &Lanes.Scalar<IntegerFunctions.PopulationCount64, uint, ulong, uint, uint> : &Lanes.Scalar<IntegerFunctions.PopulationCount, uint, uint, uint, uint>);
                break;
            case "clz":
                OneToWord(type, isWide ? &Lanes.Scalar<IntegerFunctions.LeadingZeros64, uint, ulong, uint, uint> : &Lanes.Scalar<IntegerFunctions.LeadingZeros, uint, uint, uint, uint>);
                break;
            case "brev":
                One(OpClass.Alu, type, isWide ? &Lanes.Scalar<IntegerFunctions.Reverse64, ulong, ulong, uint, uint> : &Lanes.Scalar<IntegerFunctions.Reverse, uint, uint, uint, uint>);
                break;
            case "bfind" when isShift && !isWide:
                OneToWord(type, type.IsSigned() ? &Lanes.Scalar<IntegerFunctions.ShiftToHighestSigned, uint, int, uint, uint> : &Lanes.Scalar<IntegerFunctions.ShiftToHighest, uint, uint, uint, uint>);
                break;
            case "bfind" when !isShift:
                OneToWord(type, (isWide, type.IsSigned()) switch
                {
                    (true, true) => &Lanes.Scalar<IntegerFunctions.FindHighestSigned64, uint, long, uint, uint>,
                    (true, false) => &Lanes.Scalar<IntegerFunctions.FindHighest64, uint, ulong, uint, uint>,
                    (false, true) => &Lanes.Scalar<IntegerFunctions.FindHighestSigned, uint, int, uint, uint>,
                    _ => &Lanes.Scalar<IntegerFunctions.FindHighest, uint, uint, uint, uint>,
                });
                break;
            case "bfe":
                RequireOperands(4, 4);
                Row(OpClass.Alu, (isWide, type.IsSigned()) switch
                {
                    (true, true) => &Lanes.Scalar<IntegerFunctions.ExtractBitsSigned64, long, long, uint, uint>,
                    (true, false) => &Lanes.Scalar<IntegerFunctions.ExtractBits64, ulong, ulong, uint, uint>,
                    (false, true) => &Lanes.Scalar<IntegerFunctions.ExtractBitsSigned, int, int, uint, uint>,
                    _ => &Lanes.Scalar<IntegerFunctions.ExtractBits, uint, uint, uint, uint>,
                }, Destination(0, type), [Source(1, type), Source(2, PtxType.U32), Source(3, PtxType.U32)]);
                break;
            case "bfi" when !isWide:
                SelectBitInsert(type);
                break;
            case "bmsk" when isClamped:
                Two(OpClass.Alu, type, &Lanes.Scalar<IntegerFunctions.BitFieldMask, uint, uint, uint, uint>);
                break;
            case "fns" when !isWide:
                Three(OpClass.Alu, type, PtxType.S32, &Lanes.Scalar<IntegerFunctions.FindNth, uint, uint, uint, int>);
                break;
            case "sad" when !isWide:
                Three(OpClass.Alu, type, type, type.IsSigned()
                    ? &Lanes.Scalar<IntegerFunctions.AbsoluteDifferenceSigned, uint, int, int, uint> : &Lanes.Scalar<IntegerFunctions.AbsoluteDifference, uint, uint, uint, uint>);
                break;
            case "dp4a" when !isWide && second.Size() == 4:
                Three(OpClass.IntegerMultiply, type, PtxType.B32, (type.IsSigned(), second.IsSigned()) switch
                {
                    (true, true) => &Lanes.Scalar<IntegerFunctions.DotSigned, uint, uint, uint, uint>,
                    (true, false) => &Lanes.Scalar<IntegerFunctions.DotSignedUnsigned, uint, uint, uint, uint>,
                    (false, true) => &Lanes.Scalar<IntegerFunctions.DotUnsignedSigned, uint, uint, uint, uint>,
                    _ => &Lanes.Scalar<IntegerFunctions.DotUnsigned, uint, uint, uint, uint>,
                });
                break;
            case "mul24" or "mad24" when !isWide && part == "lo":
                SelectMultiply24(type);
                break;
            default:
                throw Refuse();
        }
    }

    /// <summary>A product of 24-bit numbers is that of the numbers without or with the sign of what lies above.</summary>
    private void SelectMultiply24(PtxType type)
    {
        int[] sources = [Source(1, type), Source(2, type)];
        for (int i = 0; i < sources.Length; i++)
        {
            int shifted = NewRegister(RegisterClass.Row32);
            int extended = NewRegister(RegisterClass.Row32);
            Row(OpClass.Alu, &ConstantShifts.Left, shifted, [sources[i]], 8, isGuarded: false);
            Row(OpClass.Alu, type.IsSigned() ? &ConstantShifts.RightSigned : &ConstantShifts.Right, extended, [shifted], 8, isGuarded: false);
            sources[i] = extended;
        }

        if (_modifiers.Opcode == "mad24")
        {
            RequireOperands(4, 4);
            Row(OpClass.IntegerMultiply, &Lanes.Ternary<IntegerFunctions.MultiplyAdd>, Destination(0, type), [.. sources, Source(3, type)]);
        }
        else
        {
            RequireOperands(3, 3);
            Row(OpClass.IntegerMultiply, &Lanes.Binary<IntegerFunctions.Multiply>, Destination(0, type), sources);
        }
    }

    /// <summary>bfi f, a, b, c, d = (b and not m) or ((a shifted left by c) and m), m being the d bits from c on.</summary>
    private void SelectBitInsert(PtxType type)
    {
        RequireOperands(5, 5);
        int start = NewRegister(RegisterClass.Row32);
        int length = NewRegister(RegisterClass.Row32);
        Row(OpClass.Alu, &Lanes.Binary<IntegerFunctions.And>, start, [Source(3, PtxType.U32), Constant32(0xFF)], isGuarded: false);
        Row(OpClass.Alu, &Lanes.Binary<IntegerFunctions.And>, length, [Source(4, PtxType.U32), Constant32(0xFF)], isGuarded: false);
        int mask = NewRegister(RegisterClass.Row32);
        Row(OpClass.Alu, &Lanes.Scalar<IntegerFunctions.BitFieldMask, uint, uint, uint, uint>, mask, [start, length], isGuarded: false);
        int shifted = NewRegister(RegisterClass.Row32);
        Row(OpClass.Alu, &Lanes.Scalar<IntegerFunctions.ShiftLeft, uint, uint, uint, uint>, shifted, [Source(1, type), start], isGuarded: false);
        const int Multiplex = 0xCA; // The second bit where the first is set, the third elsewhere.
        Row(OpClass.Alu, &MoveInstructions.Logic3, Destination(0, type), [mask, shifted, Source(2, type)], Multiplex);
    }

    private void SelectFloat(PtxType type, string? rounding, bool isFlushed, bool isSaturated, bool propagatesNaN, bool isRectified)
    {
        if (type is PtxType.BF16 or PtxType.BF16x2 or PtxType.TF32)
        {
            RequireTarget(80);
        }

        string opcode = _modifiers.Opcode == "mad" ? "fma" : _modifiers.Opcode;
        if (type == PtxType.F64)
        {
            if (isFlushed || isSaturated || propagatesNaN || isRectified || rounding is not (null or "rn"))
            {
                throw Refuse();
            }

            SelectDouble(opcode);
            return;
        }

        FloatArithmetic form = new(type, RoundingOf(rounding), isFlushed, isSaturated, isRectified);
        long packed = ArithmeticInstructions.Pack(form);
        bool isFast = type == PtxType.F32 && rounding is null or "rn" && !isSaturated && !isRectified;
        bool isPair = type is PtxType.F16x2 or PtxType.BF16x2;
        bool isHalf = type is not PtxType.F32;
        OpClass simple = isPair ? OpClass.Half2 : OpClass.Half;
        switch (opcode)
        {
            case "add":
                Two(isHalf ? simple : OpClass.Fadd, type, !isFast ? &ArithmeticInstructions.Add
                    : isFlushed ? &Lanes.Binary<FloatFunctions.Flushed<FloatFunctions.Add>> : &Lanes.Binary<FloatFunctions.Add>, packed);
                break;
            case "sub":
                Two(isHalf ? simple : OpClass.Fadd, type, !isFast ? &ArithmeticInstructions.Subtract
                    : isFlushed ? &Lanes.Binary<FloatFunctions.Flushed<FloatFunctions.Subtract>> : &Lanes.Binary<FloatFunctions.Subtract>, packed);
                break;
            case "mul":
                Two(isHalf ? simple : OpClass.Fmul, type, !isFast ? &ArithmeticInstructions.Multiply
                    : isFlushed ? &Lanes.Binary<FloatFunctions.MultiplyFlushed> : &Lanes.Binary<FloatFunctions.Multiply>, packed);
                break;
            case "fma":
                Three(isPair ? OpClass.Half2Fma : isHalf ? OpClass.HalfFma : OpClass.Ffma, type, type, !isFast ? &ArithmeticInstructions.FusedMultiplyAdd
                    : isFlushed ? &Lanes.Ternary<FloatFunctions.FusedMultiplyAddFlushed> : &Lanes.Ternary<FloatFunctions.FusedMultiplyAdd>, packed);
                break;
            case "div" when type == PtxType.F32:
                Two(OpClass.Special, type, rounding switch
                {
                    "approx" => &ArithmeticInstructions.ApproximateDivide,
                    "full" => &ArithmeticInstructions.DivideFull,
                    null => throw Refuse(),
                    _ => &ArithmeticInstructions.Divide,
                }, rounding is "approx" or "full" ? 0 : packed, (byte)(isFlushed ? 1 : 0));
                break;
            case "min" or "max":
                Two(OpClass.Alu, type, &ArithmeticInstructions.Select, packed, (byte)((opcode == "max" ? 1 : 0) | (propagatesNaN ? 2 : 0)));
                break;
            case "neg":
                One(OpClass.Alu, type, isHalf ? &Lanes.Unary<FloatFunctions.NegateHalves>
                    : isFlushed ? &Lanes.Unary<FloatFunctions.NegateFlushed> : &Lanes.Unary<FloatFunctions.Negate>);
                break;
            case "abs":
                One(OpClass.Alu, type, isHalf ? &Lanes.Unary<FloatFunctions.AbsoluteHalves>
                    : isFlushed ? &Lanes.Unary<FloatFunctions.AbsoluteFlushed> : &Lanes.Unary<FloatFunctions.Absolute>);
                break;
            default:
                throw Refuse();
        }
    }

    private void SelectDouble(string opcode)
    {
        switch (opcode)
        {
            case "add":
                Two(OpClass.Double, PtxType.F64, &Lanes.Scalar<FloatFunctions.AddDouble, double, double, double, double>);
                break;
            case "sub":
                Two(OpClass.Double, PtxType.F64, &Lanes.Scalar<FloatFunctions.SubtractDouble, double, double, double, double>);
                break;
            case "mul":
                Two(OpClass.Double, PtxType.F64, &Lanes.Scalar<FloatFunctions.MultiplyDouble, double, double, double, double>);
                break;
            case "fma":
                Three(OpClass.DoubleFma, PtxType.F64, PtxType.F64, &Lanes.Scalar<FloatFunctions.FusedMultiplyAddDouble, double, double, double, double>);
                break;
            case "div":
                Two(OpClass.Double, PtxType.F64, &Lanes.Scalar<FloatFunctions.DivideDouble, double, double, double, double>);
                break;
            case "min":
                Two(OpClass.Double, PtxType.F64, &Lanes.Scalar<FloatFunctions.MinDouble, double, double, double, double>);
                break;
            case "max":
                Two(OpClass.Double, PtxType.F64, &Lanes.Scalar<FloatFunctions.MaxDouble, double, double, double, double>);
                break;
            case "neg":
                One(OpClass.Double, PtxType.F64, &Lanes.Scalar<FloatFunctions.NegateDouble, double, double, double, double>);
                break;
            case "abs":
                One(OpClass.Double, PtxType.F64, &Lanes.Scalar<FloatFunctions.AbsoluteDouble, double, double, double, double>);
                break;
            default:
                throw Refuse();
        }
    }

    private void SelectFunction()
    {
        string opcode = _modifiers.Opcode;
        string? rounding = _modifiers.TakeAny("approx", "rn", "rz", "rm", "rp");
        bool isFlushed = _modifiers.Take("ftz");
        PtxType type = _modifiers.TakeType();
        byte variant = (byte)(isFlushed ? 1 : 0);
        long packed = ArithmeticInstructions.Pack(new FloatArithmetic(PtxType.F32, RoundingOf(rounding), isFlushed));
        bool isApproximate = rounding == "approx";
        switch (opcode, type)
        {
            case ("copysign", PtxType.F32):
                Two(OpClass.Alu, type, &Lanes.Binary<FloatFunctions.CopySign>);
                break;
            case ("copysign", PtxType.F64):
                Two(OpClass.Alu, type, &Lanes.Binary64<FloatFunctions.CopySign64>);
                break;
            case ("sqrt", PtxType.F64) when rounding == "rn":
                One(OpClass.Double, type, &Lanes.Scalar<FloatFunctions.SquareRootDouble, double, double, double, double>);
                break;
            case ("rcp", PtxType.F64) when rounding == "rn":
                One(OpClass.Double, type, &Lanes.Scalar<FloatFunctions.ReciprocalDouble, double, double, double, double>);
                break;
            case ("sqrt", PtxType.F32) when rounding is not (null or "approx"):
                One(OpClass.Special, type, &ArithmeticInstructions.SquareRoot, packed);
                break;
            case ("rcp", PtxType.F32) when rounding is not (null or "approx"):
                RequireOperands(2, 2);
                Row(OpClass.Special, &ArithmeticInstructions.Divide, Destination(0, type), [Constant32(BitConverter.SingleToUInt32Bits(1)), Source(1, type)], packed);
                break;
            case ("ex2" or "tanh", PtxType.F16 or PtxType.F16x2 or PtxType.BF16 or PtxType.BF16x2) when isApproximate:
                RequireTarget(type is PtxType.F16 or PtxType.F16x2 ? 75 : 90);
                One(OpClass.Special, type, opcode == "ex2" ? &ArithmeticInstructions.Exp2Halves : &ArithmeticInstructions.TanhHalves, (long)type);
                break;
            case (_, PtxType.F32) when isApproximate:
                One(OpClass.Special, type, opcode switch
                {
                    "ex2" => &ArithmeticInstructions.Exp2,
                    "lg2" => &ArithmeticInstructions.Log2,
                    "rcp" => &ArithmeticInstructions.Reciprocal,
                    "rsqrt" => &ArithmeticInstructions.ReciprocalSquareRoot,
                    "sqrt" => &ArithmeticInstructions.ApproximateSquareRoot,
                    "sin" => &ArithmeticInstructions.Sin,
                    "cos" => &ArithmeticInstructions.Cos,
                    "tanh" => &ArithmeticInstructions.Tanh,
                    _ => throw Refuse(),
                }, 0, variant);
                break;
            default:
                throw Refuse();
        }
    }

    private void One(OpClass kind, PtxType type, delegate*<byte*, Op*, byte*, void> handler, long immediate = 0, byte variant = 0)
    {
        RequireOperands(2, 2);
        int a = Source(1, type);
        Row(kind, handler, Destination(0, type), [a], immediate, variant);
    }

    private void OneToWord(PtxType type, delegate*<byte*, Op*, byte*, void> handler)
    {
        RequireOperands(2, 2);
        int a = Source(1, type);
        Row(OpClass.Alu, handler, Destination(0, PtxType.U32), [a]);
    }

    private void Two(OpClass kind, PtxType type, delegate*<byte*, Op*, byte*, void> handler, long immediate = 0, byte variant = 0)
    {
        RequireOperands(3, 3);
        int[] sources = [Source(1, type), Source(2, type)];
        Row(kind, handler, Destination(0, type), sources, immediate, variant);
    }

    private void Three(OpClass kind, PtxType type, PtxType third, delegate*<byte*, Op*, byte*, void> handler, long immediate = 0)
    {
        RequireOperands(4, 4);
        int[] sources = [Source(1, type), Source(2, type), Source(3, third)];
        Row(kind, handler, Destination(0, type), sources, immediate);
    }
}
