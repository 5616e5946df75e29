namespace KernelAD.Emulator;

/// <content>Flow, barriers, and instructions between the lanes of a warp.</content>
internal sealed unsafe partial class InstructionSelector
{
    private void SelectControl()
    {
        switch (_modifiers.Opcode)
        {
            case "bra":
                _modifiers.Take("uni"); // A promise that the emulator does not need.
                Flow(OpKind.Branch, _instruction.Target);
                break;
            case "ret" or "exit":
                _modifiers.Take("uni");
                RequireOperands(0, 0);
                Flow(OpKind.Exit, -1);
                break;
            case "trap" or "brkpt":
                RequireOperands(0, 0);
                General(OpClass.Control, &WarpInstructions.Trap, [], []);
                break;
            case "bar" or "barrier":
                SelectBarrier();
                break;
            case "nanosleep":
                _modifiers.TakeType();
                General(OpClass.Order, &WarpInstructions.Nothing, [], []);
                break;
            case "griddepcontrol":
                RequireTarget(90);
                _modifiers.TakeAny("launch_dependents", "wait");
                General(OpClass.Order, &WarpInstructions.Nothing, [], []);
                break;
            default:
                _modifiers.Drop(part => part is "cta" or "gl" or "sys" or "gpu" or "cluster" or "acq_rel" or "sc" or "acquire" or "release");
                RequireOperands(0, 0);
                General(OpClass.Order, &WarpInstructions.Nothing, [], []);
                break;
        }
    }

    private void Flow(OpKind kind, int target) => Ops.Add(new()
    {
        Kind = kind,
        Class = OpClass.Control,
        Target = target,
        Guard = Guard(true),
        IsGuardNegated = _instruction.IsGuardNegated,
        Instruction = _instruction,
    });

    private void SelectBarrier()
    {
        if (_modifiers.Take("warp"))
        {
            if (!_modifiers.Take("sync"))
            {
                throw Refuse();
            }

            RequireOperands(1, 1);
            General(OpClass.Vote, &WarpInstructions.Synchronise, [], [Source(0, PtxType.B32)]);
            return;
        }

        _modifiers.Take("cta");
        _modifiers.Take("aligned");
        Barriers.Operation operation = _modifiers.TakeAny("sync", "arrive", "red") switch
        {
            "sync" => Barriers.Operation.Sync,
            "arrive" => Barriers.Operation.Arrive,
            "red" => _modifiers.TakeAny("popc", "and", "or") switch
            {
                "popc" => Barriers.Operation.PopulationCount,
                "and" => Barriers.Operation.And,
                "or" => Barriers.Operation.Or,
                _ => throw Refuse(),
            },
            _ => throw Refuse(),
        };
        bool isReduction = operation is not (Barriers.Operation.Sync or Barriers.Operation.Arrive);
        PtxType type = isReduction ? _modifiers.TakeType() : PtxType.None;
        if (isReduction && type != (operation == Barriers.Operation.PopulationCount ? PtxType.U32 : PtxType.Predicate))
        {
            throw Refuse();
        }

        int count = _instruction.Operands.Count;
        int first = isReduction ? 1 : 0;
        int last = isReduction ? 1 : 0;
        RequireOperands(first + last + (operation == Barriers.Operation.Arrive ? 2 : 1), first + last + 2);
        bool hasThreads = count == first + last + 2;
        List<int> uses = [Source(first, PtxType.U32), hasThreads ? Source(first + 1, PtxType.U32) : Constant32(uint.MaxValue)];
        if (isReduction)
        {
            uses.Add(Source(count - 1, PtxType.Predicate));
        }

        int[] definitions = isReduction ? [Destination(0, type)] : [];
        General(OpClass.Barrier, &BlockState.Synchronise, definitions, [.. uses], variant: (byte)operation, how: OpKind.Barrier);
    }

    private void SelectWarp()
    {
        switch (_modifiers.Opcode)
        {
            case "shfl":
                SelectShuffle();
                break;
            case "vote":
                SelectVote();
                break;
            case "match":
                SelectMatch();
                break;
            case "redux":
                SelectReduction();
                break;
            case "activemask":
                _modifiers.TakeType();
                RequireOperands(1, 1);
                General(OpClass.Vote, &WarpInstructions.ActiveMask, [Destination(0, PtxType.B32)], []);
                break;
            default:
                throw Refuse();
        }
    }

    private void SelectShuffle()
    {
        RequireSync();
        WarpInstructions.ShuffleMode mode = _modifiers.TakeAny("up", "down", "bfly", "idx") switch
        {
            "up" => WarpInstructions.ShuffleMode.Up,
            "down" => WarpInstructions.ShuffleMode.Down,
            "bfly" => WarpInstructions.ShuffleMode.Butterfly,
            "idx" => WarpInstructions.ShuffleMode.Index,
            _ => throw Refuse(),
        };
        PtxType type = _modifiers.TakeType();
        RequireOperands(5, 5);
        if (type.Size() != 4)
        {
            throw Refuse();
        }

        (PtxOperand value, PtxOperand? inRange) = Pair();
        int[] definitions = inRange is null ? [Destination(value, type)] : [Destination(value, type), Destination(inRange, PtxType.Predicate)];
        int[] uses = [Source(1, type), Source(2, PtxType.B32), Source(3, PtxType.B32), Source(4, PtxType.B32)];
        General(OpClass.Shuffle, &WarpInstructions.Shuffle, definitions, uses, elements: definitions.Length, variant: (byte)mode);
    }

    private (PtxOperand First, PtxOperand? Second) Pair() => Operand(0) is { Kind: PtxOperandKind.Pair } pair ? (pair.Elements[0], pair.Elements[1]) : (Operand(0), null);

    private void RequireSync()
    {
        if (!_modifiers.Take("sync"))
        {
            throw Unsupported($"'{_instruction.Name}'", "its form with '.sync': others do not exist since sm_70");
        }
    }

    private void SelectVote()
    {
        RequireSync();
        WarpInstructions.VoteMode mode = _modifiers.TakeAny("all", "any", "uni", "ballot") switch
        {
            "all" => WarpInstructions.VoteMode.All,
            "any" => WarpInstructions.VoteMode.Any,
            "uni" => WarpInstructions.VoteMode.Uniform,
            "ballot" => WarpInstructions.VoteMode.Ballot,
            _ => throw Refuse(),
        };
        PtxType type = _modifiers.TakeType();
        RequireOperands(3, 3);
        if (type != (mode == WarpInstructions.VoteMode.Ballot ? PtxType.B32 : PtxType.Predicate))
        {
            throw Refuse();
        }

        int[] uses = [Source(1, PtxType.Predicate), Source(2, PtxType.B32)];
        General(OpClass.Vote, &WarpInstructions.Vote, [Destination(0, type)], uses, variant: (byte)mode);
    }

    private void SelectMatch()
    {
        bool isAll = _modifiers.TakeAny("any", "all") switch { "any" => false, "all" => true, _ => throw Refuse() };
        RequireSync();
        PtxType type = _modifiers.TakeType();
        RequireOperands(3, 3);
        if (type is not (PtxType.B32 or PtxType.B64))
        {
            throw Refuse();
        }

        (PtxOperand lanes, PtxOperand? same) = Pair();
        int[] definitions = same is null ? [Destination(lanes, PtxType.B32)] : [Destination(lanes, PtxType.B32), Destination(same, PtxType.Predicate)];
        int[] uses = [Source(1, type), Source(2, PtxType.B32)];
        General(OpClass.Vote, &WarpInstructions.Match, definitions, uses, size: (byte)type.Size(), elements: definitions.Length, variant: (byte)(isAll ? 1 : 0));
    }

    private void SelectReduction()
    {
        RequireTarget(80);
        RequireSync();
        string operation = _modifiers.TakeAny("add", "min", "max", "and", "or", "xor") ?? throw Refuse();
        PtxType type = _modifiers.TakeType();
        RequireOperands(3, 3);
        WarpInstructions.Reduction reduction = (operation, type) switch
        {
            ("add", PtxType.U32 or PtxType.S32) => WarpInstructions.Reduction.Add,
            ("min", PtxType.U32) => WarpInstructions.Reduction.Min,
            ("max", PtxType.U32) => WarpInstructions.Reduction.Max,
            ("min", PtxType.S32) => WarpInstructions.Reduction.MinSigned,
            ("max", PtxType.S32) => WarpInstructions.Reduction.MaxSigned,
            ("and", PtxType.B32) => WarpInstructions.Reduction.And,
            ("or", PtxType.B32) => WarpInstructions.Reduction.Or,
            ("xor", PtxType.B32) => WarpInstructions.Reduction.Xor,
            _ => throw Refuse(),
        };
        General(OpClass.Vote, &WarpInstructions.Reduce, [Destination(0, type)], [Source(1, type), Source(2, PtxType.B32)], variant: (byte)reduction);
    }
}
