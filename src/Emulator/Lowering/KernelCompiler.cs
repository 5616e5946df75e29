using KernelAD.Interop;

namespace KernelAD.Emulator;

/// <summary>Makes a kernel ready to run: lays its variables out, chooses operations and finds places for its registers.</summary>
internal static class KernelCompiler
{
    /// <summary>Makes a kernel ready to run.</summary>
    /// <param name="module">The module's name, for errors.</param>
    /// <param name="entry">The kernel.</param>
    /// <param name="target">The device that is to run it.</param>
    /// <exception cref="PtxException">The kernel uses what the device or the emulator does not have.</exception>
    public static PtxKernel Compile(string module, PtxEntry entry, EmulatedTarget target)
    {
        long shared = LayOut(module, entry, PtxSpace.Shared);
        long local = LayOut(module, entry, PtxSpace.Local);
        if (shared > EmulatedTarget.DefaultSharedMemoryPerBlock)
        {
            throw new PtxException(
                module,
                entry.Line,
                $"{shared} bytes of static shared memory in kernel '{entry.Name}'",
                $"at most {EmulatedTarget.DefaultSharedMemoryPerBlock}: more has to be dynamic");
        }

        const long MaxLocalBytes = 512 << 10;
        if (local > MaxLocalBytes)
        {
            throw new PtxException(module, entry.Line, $"{local} bytes of local memory in kernel '{entry.Name}'", $"at most {MaxLocalBytes}");
        }

        InstructionSelector selector = new(module, entry, target);
        KernelProgram program = new(CopyPropagation.Run(selector.Ops, selector.Registers), selector.Registers);
        int threads = entry.MaxThreads is null ? EmulatedTarget.MaxThreadsPerBlock : entry.MaxThreads.Aggregate(1L, (product, extent) => product * extent) is long product
            && product is > 0 and <= EmulatedTarget.MaxThreadsPerBlock ? (int)product
            : throw new PtxException(module, entry.Line, $"blocks of {string.Join('×', entry.MaxThreads)} threads", $"1 to {EmulatedTarget.MaxThreadsPerBlock}");
        return new(entry.Name, target, program)
        {
            Parameters = [.. entry.Parameters.Select(parameter => new PtxParameter(parameter.Name, (int)parameter.Size, (int)parameter.Offset))],
            StaticSharedBytes = (int)shared,
            LocalBytes = (int)local,
            MaxThreads = threads,
            RequiredBlock = entry.AreThreadsRequired ? new LaunchSize(entry.MaxThreads![0], entry.MaxThreads[1], entry.MaxThreads[2]) : null,
            EstimatedRegisters = program.EstimatedRegisters,
        };
    }

    /// <summary>Gives a space's variables their offsets. Dynamic shared memory comes last; all its names mean its first byte.</summary>
    /// <returns>How many bytes they take.</returns>
    private static long LayOut(string module, PtxEntry entry, PtxSpace space)
    {
        PtxVariable[] variables = [.. entry.ModuleVariables.Concat(entry.Variables).Where(variable => variable.Space == space)];
        long bytes = 0;
        foreach (PtxVariable variable in variables.Where(variable => variable.Size > 0))
        {
            variable.Offset = Align(bytes, variable.Alignment);
            bytes = variable.Offset + variable.Size;
            if (bytes > int.MaxValue)
            {
                throw new PtxException(module, variable.Line, $"'{variable.Name}' of {variable.Size} bytes", "less memory");
            }
        }

        PtxVariable[] dynamic = [.. variables.Where(variable => variable.Size == 0)];
        if (dynamic.Length > 0)
        {
            bytes = Align(bytes, dynamic.Max(variable => variable.Alignment));
            foreach (PtxVariable variable in dynamic)
            {
                variable.Offset = bytes;
            }
        }
        else if (space == PtxSpace.Local)
        {
            const int LocalAlignment = 16; // So that a thread's memory is aligned for the largest access behind another thread's.
            bytes = Align(bytes, LocalAlignment);
        }

        return bytes;
    }

    private static long Align(long bytes, int alignment) => (bytes + alignment - 1) / alignment * alignment;
}
