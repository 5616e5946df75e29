namespace KernelAD.Emulator;

/// <content>Comparisons.</content>
internal sealed unsafe partial class InstructionSelector
{
    private static readonly string[] Comparisons =
        ["eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"];

    private void SelectComparison()
    {
        if (_modifiers.Opcode == "testp")
        {
            SelectTest();
            return;
        }

        string comparison = _modifiers.TakeAny(Comparisons) ?? throw Refuse();
        string? combination = _modifiers.TakeAny("and", "or", "xor");
        bool isFlushed = _modifiers.Take("ftz");
        bool isSet = _modifiers.Opcode == "set";
        PtxType result = isSet ? _modifiers.TakeType() : PtxType.Predicate;
        PtxType type = _modifiers.TakeType();
        int operands = combination is null ? 3 : 4;
        RequireOperands(operands, operands);
        if (type is PtxType.None or PtxType.Predicate or PtxType.F16x2 or PtxType.BF16x2 || (isSet && result is not (PtxType.U32 or PtxType.S32 or PtxType.F32)))
        {
            throw Refuse();
        }

        int a = Source(1, type);
        int b = Source(2, type);
        if (type.Size() == 2 && !type.IsFloat())
        {
            a = Extend(a, type.IsSigned());
            b = Extend(b, type.IsSigned());
        }

        int combined = combination is null ? -1 : Source(3, PtxType.Predicate);
        if (isSet)
        {
            int holds = NewRegister(RegisterClass.Predicate);
            Compare(holds, comparison, type, isFlushed, a, b, combination, combined, false, false);
            Row(OpClass.Alu, &MoveInstructions.FromPredicate, Destination(0, result), [holds], variant: (byte)(result == PtxType.F32 ? 1 : 0));
        }
        else if (Operand(0).Kind == PtxOperandKind.Pair)
        {
            // Both are computed before either is written, as the combined predicate may be one of them.
            int holds = NewRegister(RegisterClass.Predicate);
            int fails = NewRegister(RegisterClass.Predicate);
            Compare(holds, comparison, type, isFlushed, a, b, combination, combined, false, false);
            Compare(fails, comparison, type, isFlushed, a, b, combination, combined, true, false);
            Copy(Destination(Operand(0).Elements[0], PtxType.Predicate), holds);
            Copy(Destination(Operand(0).Elements[1], PtxType.Predicate), fails);
        }
        else
        {
            Compare(Destination(0, PtxType.Predicate), comparison, type, isFlushed, a, b, combination, combined, false, true);
        }
    }

    /// <summary>destination = (a comparison b, perhaps negated) combined with a predicate.</summary>
    private void Compare(
        int destination, string comparison, PtxType type, bool isFlushed, int a, int b, string? combination, int combined, bool isNegated, bool isGuarded)
    {
        (string basic, bool isSwapped, bool isInverse) = Reduce(comparison, type);
        int[] sources = isSwapped ? [b, a] : [a, b];
        bool isPlain = combination is null;
        bool inverts = isInverse != isNegated;
        int compared = isPlain && !inverts ? destination : NewRegister(RegisterClass.Predicate);
        Predicate(OpClass.Alu, HandlerOfComparison(basic, type, isFlushed), compared, sources, isPlain && !inverts && isGuarded);
        if (inverts)
        {
            int inverse = isPlain ? destination : NewRegister(RegisterClass.Predicate);
            Predicate(OpClass.None, &MoveInstructions.NotPredicate, inverse, [compared], isPlain && isGuarded);
            compared = inverse;
        }

        if (combination is not null)
        {
            Predicate(OpClass.None, HandlerOfPredicates(combination), destination, [compared, combined], isGuarded);
        }
    }

    /// <summary>Every comparison is one of a few, with operands exchanged or the result negated: unordered ones are negated ordered ones.</summary>
    private (string Basic, bool IsSwapped, bool IsInverse) Reduce(string comparison, PtxType type)
    {
        if (!type.IsFloat())
        {
            return comparison switch
            {
                "eq" => ("eq", false, false),
                "ne" => ("eq", false, true),
                "lt" or "lo" => ("lt", false, false),
                "le" or "ls" => ("lt", true, true),
                "gt" or "hi" => ("lt", true, false),
                "ge" or "hs" => ("lt", false, true),
                _ => throw Refuse(),
            };
        }

        return comparison switch
        {
            "eq" => ("eq", false, false),
            "neu" => ("eq", false, true),
            "ne" => ("ne", false, false),
            "equ" => ("ne", false, true),
            "lt" => ("lt", false, false),
            "geu" => ("lt", false, true),
            "le" => ("le", false, false),
            "gtu" => ("le", false, true),
            "gt" => ("lt", true, false),
            "leu" => ("lt", true, true),
            "ge" => ("le", true, false),
            "ltu" => ("le", true, true),
            "num" => ("num", false, false),
            "nan" => ("num", false, true),
            _ => throw Refuse(),
        };
    }

    private delegate*<byte*, Op*, uint> HandlerOfComparison(string basic, PtxType type, bool isFlushed) => type switch
    {
        PtxType.F64 => basic switch
        {
            "eq" => &Lanes.Compare64<ComparisonFunctions.EqualFloat>,
            "ne" => &Lanes.Compare64<ComparisonFunctions.NotEqualFloat>,
            "lt" => &Lanes.Compare64<ComparisonFunctions.LessFloat>,
            "le" => &Lanes.Compare64<ComparisonFunctions.LessOrEqualFloat>,
            _ => &Lanes.Compare64<ComparisonFunctions.Ordered>,
        },
        PtxType.F32 when isFlushed => basic switch
        {
            "eq" => &Lanes.Compare<ComparisonFunctions.Flushed<ComparisonFunctions.EqualFloat>>,
            "ne" => &Lanes.Compare<ComparisonFunctions.Flushed<ComparisonFunctions.NotEqualFloat>>,
            "lt" => &Lanes.Compare<ComparisonFunctions.Flushed<ComparisonFunctions.LessFloat>>,
            "le" => &Lanes.Compare<ComparisonFunctions.Flushed<ComparisonFunctions.LessOrEqualFloat>>,
            _ => &Lanes.Compare<ComparisonFunctions.Ordered>,
        },
        PtxType.F32 => basic switch
        {
            "eq" => &Lanes.Compare<ComparisonFunctions.EqualFloat>,
            "ne" => &Lanes.Compare<ComparisonFunctions.NotEqualFloat>,
            "lt" => &Lanes.Compare<ComparisonFunctions.LessFloat>,
            "le" => &Lanes.Compare<ComparisonFunctions.LessOrEqualFloat>,
            _ => &Lanes.Compare<ComparisonFunctions.Ordered>,
        },
        PtxType.F16 when !isFlushed => basic switch
        {
            "eq" => &Lanes.Compare<ComparisonFunctions.Halves<ComparisonFunctions.EqualFloat>>,
            "ne" => &Lanes.Compare<ComparisonFunctions.Halves<ComparisonFunctions.NotEqualFloat>>,
            "lt" => &Lanes.Compare<ComparisonFunctions.Halves<ComparisonFunctions.LessFloat>>,
            "le" => &Lanes.Compare<ComparisonFunctions.Halves<ComparisonFunctions.LessOrEqualFloat>>,
            _ => &Lanes.Compare<ComparisonFunctions.Halves<ComparisonFunctions.Ordered>>,
        },
        PtxType.BF16 when !isFlushed => basic switch
        {
            "eq" => &Lanes.Compare<ComparisonFunctions.BrainHalves<ComparisonFunctions.EqualFloat>>,
            "ne" => &Lanes.Compare<ComparisonFunctions.BrainHalves<ComparisonFunctions.NotEqualFloat>>,
            "lt" => &Lanes.Compare<ComparisonFunctions.BrainHalves<ComparisonFunctions.LessFloat>>,
            "le" => &Lanes.Compare<ComparisonFunctions.BrainHalves<ComparisonFunctions.LessOrEqualFloat>>,
            _ => &Lanes.Compare<ComparisonFunctions.BrainHalves<ComparisonFunctions.Ordered>>,
        },
        _ when isFlushed || type.IsFloat() || type.Size() is 1 or 16 => throw Refuse(),
        _ => (basic, type.IsSigned(), type.Size() == 8) switch
        {
            ("eq", _, false) => &Lanes.Compare<ComparisonFunctions.Equal>,
            ("eq", _, true) => &Lanes.Compare64<ComparisonFunctions.Equal>,
            (_, false, false) => &Lanes.Compare<ComparisonFunctions.Less>,
            (_, false, true) => &Lanes.Compare64<ComparisonFunctions.Less>,
            (_, true, false) => &Lanes.Compare<ComparisonFunctions.LessSigned>,
            _ => &Lanes.Compare64<ComparisonFunctions.LessSigned>,
        },
    };

    private void SelectTest()
    {
        string kind = _modifiers.TakeAny("finite", "infinite", "number", "notanumber", "subnormal") ?? throw Refuse();
        PtxType type = _modifiers.TakeType();
        RequireOperands(2, 2);
        if (type is not (PtxType.F32 or PtxType.F64))
        {
            throw Refuse();
        }

        int a = Source(1, type);
        int destination = Destination(0, PtxType.Predicate);
        bool isInverse = kind == "notanumber";
        int tested = isInverse ? NewRegister(RegisterClass.Predicate) : destination;
        Predicate(OpClass.Alu, (kind, type) switch
        {
            ("finite", PtxType.F32) => &Lanes.Compare<ComparisonFunctions.IsFinite>,
            ("finite", _) => &Lanes.Compare64<ComparisonFunctions.IsFinite>,
            ("infinite", PtxType.F32) => &Lanes.Compare<ComparisonFunctions.IsInfinite>,
            ("infinite", _) => &Lanes.Compare64<ComparisonFunctions.IsInfinite>,
            ("subnormal", PtxType.F32) => &Lanes.Compare<ComparisonFunctions.IsSubnormal>,
            ("subnormal", _) => &Lanes.Compare64<ComparisonFunctions.IsSubnormal>,
            (_, PtxType.F32) => &Lanes.Compare<ComparisonFunctions.Ordered>,
            _ => &Lanes.Compare64<ComparisonFunctions.Ordered>,
        }, tested, [a, a], !isInverse);
        if (isInverse)
        {
            Predicate(OpClass.None, &MoveInstructions.NotPredicate, destination, [tested]);
        }
    }
}
