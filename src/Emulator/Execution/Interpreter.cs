using System.Numerics;
using System.Runtime.CompilerServices;

namespace KernelAD.Emulator;

/// <summary>
/// Executes a warp's operations, 32 lanes at a time. When a warp's lanes go different ways at a branch, those that take it run first, up to where the ways
/// meet: the branch's immediate post-dominator.
/// </summary>
internal static unsafe class Interpreter
{
    /// <summary>The place of a join that is never reached.</summary>
    public const int NoJoin = -1;

    /// <summary>Executes a warp until it waits at a barrier or has left the kernel.</summary>
    /// <param name="warp">The warp.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(WarpState warp)
    {
        Op* ops = warp.Ops;
        byte* file = warp.File;
        Tally* tallies = warp.Tallies;
        uint active = warp.Active;
        uint live = warp.Live;
        int pc = warp.Pc;
        while (true)
        {
            Op* op = ops + pc;
            uint mask = active & (*(uint*)(file + op->Guard) ^ op->GuardFlip);
            Tally* tally = tallies + pc;
            tally->Warps++;
            tally->Threads += BitOperations.PopCount(mask);
            if (op->Kind == OpKind.Row32 && mask == live)
            {
                // By far the most frequent case: nothing but the call.
                ((delegate*<byte*, Op*, byte*, void>)op->Handler)(file, op, file + op->D);
                pc++;
                continue;
            }

            switch (op->Kind)
            {
                case OpKind.Row32:
                    if (mask != 0)
                    {
                        ((delegate*<byte*, Op*, byte*, void>)op->Handler)(file, op, file + KernelProgram.ScratchOffset);
                        Rows.Blend32(file + op->D, file + KernelProgram.ScratchOffset, mask);
                    }

                    pc++;
                    break;
                case OpKind.Row64:
                    if (mask == live)
                    {
                        ((delegate*<byte*, Op*, byte*, void>)op->Handler)(file, op, file + op->D);
                    }
                    else if (mask != 0)
                    {
                        ((delegate*<byte*, Op*, byte*, void>)op->Handler)(file, op, file + KernelProgram.ScratchOffset);
                        Rows.Blend64(file + op->D, file + KernelProgram.ScratchOffset, mask);
                    }

                    pc++;
                    break;
                case OpKind.Predicate:
                    uint* predicate = (uint*)(file + op->D);
                    *predicate = (*predicate & ~mask) | (((delegate*<byte*, Op*, uint>)op->Handler)(file, op) & mask);
                    pc++;
                    break;
                case OpKind.General:
                    if (mask != 0)
                    {
                        warp.Pc = pc;
                        ((delegate*<WarpState, Op*, uint, void>)op->Handler)(warp, op, mask);
                    }

                    pc++;
                    break;
                case OpKind.Branch:
                    warp.Pc = pc;
                    if (op->Target <= pc)
                    {
                        warp.Budget -= pc - op->Target + 1;
                        if (warp.Budget < 0)
                        {
                            throw new KernelFault(FindingKind.Watchdog, WarpState.FirstLane(active), null,
                                $"the warp has executed more than {warp.Block.Launch.Options.WatchdogInstructions} instructions and still goes round this loop.");
                        }
                    }

                    if (mask == active)
                    {
                        pc = op->Target;
                    }
                    else if (mask == 0)
                    {
                        pc++;
                    }
                    else
                    {
                        tally->Divergences++;
                        warp.Diverge(op, mask);
                        pc = warp.Pc;
                        active = warp.Active;
                    }

                    break;
                case OpKind.Join:
                    pc++;
                    while (op->Index == warp.Join && warp.Pop())
                    {
                        pc = warp.Pc;
                        active = warp.Active;
                        op = ops + pc;
                    }

                    break;
                case OpKind.Exit:
                    warp.Pc = pc;
                    if (mask == 0)
                    {
                        pc++;
                        break;
                    }

                    if (!warp.Leave(mask))
                    {
                        warp.Status = WarpStatus.Finished;
                        return;
                    }

                    pc = active == mask ? warp.Pc : pc + 1;
                    active = warp.Active;
                    live = warp.Live;
                    break;
                default:
                    if (mask == 0)
                    {
                        pc++;
                        break;
                    }

                    warp.Pc = pc;
                    ((delegate*<WarpState, Op*, uint, void>)op->Handler)(warp, op, mask);
                    warp.Pc = pc + 1;
                    return;
            }
        }
    }
}
