using System.Numerics;

namespace KernelAD.Emulator;

/// <summary>Instructions by which the lanes of a warp tell each other something.</summary>
internal static unsafe class WarpInstructions
{
    /// <summary>How a shuffle finds the lane to read; the value of <see cref="Op.Variant"/>.</summary>
    internal enum ShuffleMode : byte
    {
        /// <summary>The lane so many below.</summary>
        Up,

        /// <summary>The lane so many above.</summary>
        Down,

        /// <summary>The lane whose number differs in these bits.</summary>
        Butterfly,

        /// <summary>That lane.</summary>
        Index,
    }

    /// <summary>What a vote tells; the value of <see cref="Op.Variant"/>.</summary>
    internal enum VoteMode : byte
    {
        /// <summary>Whether all are true.</summary>
        All,

        /// <summary>Whether one is true.</summary>
        Any,

        /// <summary>Whether all are the same.</summary>
        Uniform,

        /// <summary>A bit for each.</summary>
        Ballot,
    }

    /// <summary>How a reduction combines; the value of <see cref="Op.Variant"/>.</summary>
    internal enum Reduction : byte
    {
        /// <summary>The sum.</summary>
        Add,

        /// <summary>The smallest unsigned number.</summary>
        Min,

        /// <summary>The largest unsigned number.</summary>
        Max,

        /// <summary>The smallest signed number.</summary>
        MinSigned,

        /// <summary>The largest signed number.</summary>
        MaxSigned,

        /// <summary>The common bits.</summary>
        And,

        /// <summary>All bits.</summary>
        Or,

        /// <summary>The bits that occur an odd number of times.</summary>
        Xor,
    }

    /// <summary>
    /// Reads another lane's value (PTX ISA, <c>shfl.sync</c>). Destinations are the row and whether the lane was in range; sources are the row, the lane
    /// operand, the clamp and segment mask, and the member mask. <see cref="Op.Elements"/> is 2 if the predicate is wanted.
    /// </summary>
    public static void Shuffle(WarpState warp, Op* op, uint mask)
    {
        int* sources = op->Operands + op->Elements;
        uint* value = (uint*)(warp.File + sources[0]);
        uint* b = (uint*)(warp.File + sources[1]);
        uint* c = (uint*)(warp.File + sources[2]);
        uint members = Members(warp, mask, sources[3]);
        uint* d = (uint*)(warp.File + op->D);
        uint* result = stackalloc uint[Warp.Lanes];
        uint inRange = 0;
        for (uint rest = mask; rest != 0; rest &= rest - 1)
        {
            int lane = BitOperations.TrailingZeroCount(rest);
            int operand = (int)(b[lane] & 31);
            int segment = (int)((c[lane] >> 8) & 31);
            int clamp = (int)(c[lane] & 31);
            int last = (lane & segment) | (clamp & ~segment);
            int first = lane & segment;
            (int source, bool isInRange) = (ShuffleMode)op->Variant switch
            {
                ShuffleMode.Up => (lane - operand, lane - operand >= last),
                ShuffleMode.Down => (lane + operand, lane + operand <= last),
                ShuffleMode.Butterfly => (lane ^ operand, (lane ^ operand) <= last),
                _ => (first | (operand & ~segment), (first | (operand & ~segment)) <= last),
            };
            source = isInRange ? source : lane;
            inRange |= isInRange ? 1u << lane : 0;
            if (warp.Block.Launch.ChecksSynchronisation && ((mask & members) >> source & 1) == 0)
            {
                warp.Block.Report(warp, op, FindingKind.IncompleteWarp, lane, null, $"reads lane {source}, which does not take part.");
            }

            result[lane] = value[source];
        }

        for (uint rest = mask; rest != 0; rest &= rest - 1)
        {
            int lane = BitOperations.TrailingZeroCount(rest);
            d[lane] = result[lane];
        }

        if (op->Elements == 2)
        {
            SetPredicate(warp, op->Operands[1], mask, inRange);
        }
    }

    /// <summary>A vote. Sources are the predicate and the member mask.</summary>
    public static void Vote(WarpState warp, Op* op, uint mask)
    {
        uint predicate = *(uint*)(warp.File + op->A);
        uint taking = Members(warp, mask, op->B) & mask;
        uint yes = predicate & taking;
        switch ((VoteMode)op->Variant)
        {
            case VoteMode.Ballot:
                SetRow(warp, op->D, mask, yes);
                break;
            case VoteMode.All:
                SetPredicate(warp, op->D, mask, yes == taking ? uint.MaxValue : 0);
                break;
            case VoteMode.Any:
                SetPredicate(warp, op->D, mask, yes != 0 ? uint.MaxValue : 0);
                break;
            default:
                SetPredicate(warp, op->D, mask, yes == taking || yes == 0 ? uint.MaxValue : 0);
                break;
        }
    }

    /// <summary>
    /// Finds lanes with the same value, of <see cref="Op.Size"/> bytes. Destinations are the lanes and, if <see cref="Op.Elements"/> is 2, whether all have the
    /// same: then lanes are all or none, as <c>match.all</c> wants it. Sources are the row and the member mask.
    /// </summary>
    public static void Match(WarpState warp, Op* op, uint mask)
    {
        bool isAll = op->Variant != 0;
        int* sources = op->Operands + op->Elements;
        uint taking = Members(warp, mask, sources[1]) & mask;
        byte* row = warp.File + sources[0];
        uint* d = (uint*)(warp.File + op->D);
        uint* result = stackalloc uint[Warp.Lanes];
        for (uint rest = mask; rest != 0; rest &= rest - 1)
        {
            int lane = BitOperations.TrailingZeroCount(rest);
            uint same = 0;
            for (uint others = taking; others != 0; others &= others - 1)
            {
                int other = BitOperations.TrailingZeroCount(others);
                bool isSame = op->Size == 8 ? ((ulong*)row)[lane] == ((ulong*)row)[other] : ((uint*)row)[lane] == ((uint*)row)[other];
                same |= isSame ? 1u << other : 0;
            }

            result[lane] = !isAll || same == taking ? same : 0;
        }

        for (uint rest = mask; rest != 0; rest &= rest - 1)
        {
            int lane = BitOperations.TrailingZeroCount(rest);
            d[lane] = result[lane];
        }

        if (op->Elements == 2)
        {
            SetPredicate(warp, op->Operands[1], mask, result[WarpState.FirstLane(mask)] != 0 ? uint.MaxValue : 0);
        }
    }

    /// <summary>Combines all lanes' values. Sources are the row and the member mask.</summary>
    public static void Reduce(WarpState warp, Op* op, uint mask)
    {
        uint* row = (uint*)(warp.File + op->A);
        uint taking = Members(warp, mask, op->B) & mask;
        uint result = row[WarpState.FirstLane(taking)];
        for (uint rest = taking & (taking - 1); rest != 0; rest &= rest - 1)
        {
            uint value = row[BitOperations.TrailingZeroCount(rest)];
            result = (Reduction)op->Variant switch
            {
                Reduction.Add => result + value,
                Reduction.Min => Math.Min(result, value),
                Reduction.Max => Math.Max(result, value),
                Reduction.MinSigned => (uint)Math.Min((int)result, (int)value),
                Reduction.MaxSigned => (uint)Math.Max((int)result, (int)value),
                Reduction.And => result & value,
                Reduction.Or => result | value,
                _ => result ^ value,
            };
        }

        SetRow(warp, op->D, mask, result);
    }

    /// <summary>The lanes that execute this together.</summary>
    public static void ActiveMask(WarpState warp, Op* op, uint mask) => SetRow(warp, op->D, mask, mask);

    /// <summary>Orders what the lanes of a warp did before what they do after. The source is the member mask.</summary>
    public static void Synchronise(WarpState warp, Op* op, uint mask)
    {
        Members(warp, mask, op->A);
        warp.Clock[warp.Index]++;
    }

    /// <summary>A counter that only grows, for <c>%clock</c>: 64 bits if <see cref="Op.Size"/> is 8. It tells nothing about time.</summary>
    public static void Clock(WarpState warp, Op* op, uint mask)
    {
        ulong value = (ulong)++warp.Ticks;
        for (uint rest = mask; rest != 0; rest &= rest - 1)
        {
            int lane = BitOperations.TrailingZeroCount(rest);
            if (op->Size == 8)
            {
                ((ulong*)(warp.File + op->D))[lane] = value;
            }
            else
            {
                ((uint*)(warp.File + op->D))[lane] = (uint)value;
            }
        }
    }

    /// <summary>Stops the launch.</summary>
    public static void Trap(WarpState warp, Op* op, uint mask) =>
        throw new KernelFault(FindingKind.Trap, WarpState.FirstLane(mask), null, "the kernel has stopped itself.");

    /// <summary>Does nothing: fences, whose effect the emulator has anyway, and hints.</summary>
    public static void Nothing(WarpState warp, Op* op, uint mask)
    {
    }

    /// <summary>
    /// The member mask, which must be the same for all active lanes, hold each of them, and hold no lane that runs elsewhere: a GPU would wait for that.
    /// </summary>
    private static uint Members(WarpState warp, uint mask, int register)
    {
        int first = WarpState.FirstLane(mask);
        uint* row = (uint*)(warp.File + register);
        uint members = row[first];
        if (!warp.Block.Launch.ChecksSynchronisation)
        {
            return members;
        }

        Op* op = warp.Ops + warp.Pc;
        for (uint rest = mask; rest != 0; rest &= rest - 1)
        {
            int lane = BitOperations.TrailingZeroCount(rest);
            if ((row[lane] >> lane & 1) == 0)
            {
                warp.Block.Report(warp, op, FindingKind.IncompleteWarp, lane, null, $"the member mask 0x{row[lane]:x8} does not hold the thread that executes it.");
            }
            else if (row[lane] != members)
            {
                warp.Block.Report(warp, op, FindingKind.IncompleteWarp, lane, null, $"the member mask is 0x{row[lane]:x8} here, but 0x{members:x8} in lane {first}.");
            }
        }

        uint missing = members & warp.Live & ~mask;
        if (missing != 0)
        {
            warp.Block.Report(warp, op, FindingKind.IncompleteWarp, WarpState.FirstLane(missing), null,
                $"the member mask 0x{members:x8} holds this thread, which is elsewhere: only lanes 0x{mask:x8} are here.");
        }

        return members;
    }

    private static void SetRow(WarpState warp, int register, uint mask, uint value)
    {
        for (uint rest = mask; rest != 0; rest &= rest - 1)
        {
            ((uint*)(warp.File + register))[BitOperations.TrailingZeroCount(rest)] = value;
        }
    }

    private static void SetPredicate(WarpState warp, int register, uint mask, uint value)
    {
        uint* predicate = (uint*)(warp.File + register);
        *predicate = (*predicate & ~mask) | (value & mask);
    }
}
