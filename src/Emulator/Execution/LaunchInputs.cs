using KernelAD.Interop;

namespace KernelAD.Emulator;

/// <summary>Fills the rows whose values come from the launch: constants, parameters and special registers.</summary>
internal static unsafe class LaunchInputs
{
    /// <summary>Fills the rows that no block changes.</summary>
    /// <param name="warp">The warp.</param>
    public static void SetConstants(WarpState warp)
    {
        *(uint*)(warp.File + KernelProgram.TrueOffset) = uint.MaxValue;
        foreach ((int offset, VirtualRegister register) in warp.Block.Launch.Kernel.Program.Inputs)
        {
            if (register.Source == ValueSource.Special && (SpecialRegister)register.Value is SpecialRegister.BlockX or SpecialRegister.BlockY or SpecialRegister.BlockZ)
            {
                continue;
            }

            Fill(warp, offset, register.Class, lane => ValueOf(warp, register, lane));
        }
    }

    /// <summary>Fills the rows that tell which block it is.</summary>
    /// <param name="warp">The warp.</param>
    public static void SetBlock(WarpState warp)
    {
        LaunchSize index = warp.Block.Index;
        foreach ((int offset, VirtualRegister register) in warp.Block.Launch.Kernel.Program.Inputs)
        {
            if (register.Source != ValueSource.Special)
            {
                continue;
            }

            int value = (SpecialRegister)register.Value switch
            {
                SpecialRegister.BlockX => index.X,
                SpecialRegister.BlockY => index.Y,
                SpecialRegister.BlockZ => index.Z,
                _ => -1,
            };
            if (value >= 0)
            {
                Fill(warp, offset, register.Class, _ => (uint)value);
            }
        }
    }

    private static void Fill(WarpState warp, int offset, RegisterClass kind, Func<int, ulong> value)
    {
        for (int lane = 0; lane < Warp.Lanes; lane++)
        {
            switch (kind)
            {
                case RegisterClass.Row32:
                    ((uint*)(warp.File + offset))[lane] = (uint)value(lane);
                    break;
                case RegisterClass.Row64:
                    ((ulong*)(warp.File + offset))[lane] = value(lane);
                    break;
                default:
                    *(uint*)(warp.File + offset) = (uint)value(0);
                    return;
            }
        }
    }

    private static ulong ValueOf(WarpState warp, VirtualRegister register, int lane) => register.Source switch
    {
        ValueSource.Constant => register.Value,
        ValueSource.Parameter => Parameter(warp.Block.Launch.Parameters, register.Value),
        _ => Special(warp, (SpecialRegister)register.Value, lane),
    };

    private static ulong Parameter(byte[] parameters, ulong place)
    {
        int size = (int)(place >> 32) & 0xFF;
        ulong value = 0;
        for (int i = size - 1; i >= 0; i--)
        {
            value = (value << 8) | parameters[(int)(uint)place + i];
        }

        int unused = 64 - (8 * size);
        return (place >> 40) == 0 ? value : (ulong)((long)(value << unused) >> unused);
    }

    private static uint Special(WarpState warp, SpecialRegister register, int lane)
    {
        Launch launch = warp.Block.Launch;
        LaunchSize thread = warp.Block.Thread(warp.Index, lane);
        return register switch
        {
            SpecialRegister.ThreadX => (uint)thread.X,
            SpecialRegister.ThreadY => (uint)thread.Y,
            SpecialRegister.ThreadZ => (uint)thread.Z,
            SpecialRegister.BlockSizeX => (uint)launch.Size.X,
            SpecialRegister.BlockSizeY => (uint)launch.Size.Y,
            SpecialRegister.BlockSizeZ => (uint)launch.Size.Z,
            SpecialRegister.GridSizeX => (uint)launch.Grid.X,
            SpecialRegister.GridSizeY => (uint)launch.Grid.Y,
            SpecialRegister.GridSizeZ => (uint)launch.Grid.Z,
            SpecialRegister.Lane => (uint)lane,
            SpecialRegister.WarpIndex => (uint)warp.Index,
            SpecialRegister.WarpCount => (uint)warp.Block.WarpCount,
            SpecialRegister.LaneMaskEqual => 1u << lane,
            SpecialRegister.LaneMaskLess => (1u << lane) - 1,
            SpecialRegister.LaneMaskLessOrEqual => (1u << lane) | ((1u << lane) - 1),
            SpecialRegister.LaneMaskGreater => ~((1u << lane) | ((1u << lane) - 1)),
            SpecialRegister.LaneMaskGreaterOrEqual => ~((1u << lane) - 1),
            SpecialRegister.MultiprocessorCount => (uint)launch.Options.Multiprocessors,
            SpecialRegister.DynamicSharedBytes => (uint)launch.DynamicSharedBytes,
            SpecialRegister.TotalSharedBytes => (uint)launch.SharedBytes,
            _ => 0, // %smid: all blocks run as if on the first multiprocessor, so that results do not depend on the schedule.
        };
    }
}
