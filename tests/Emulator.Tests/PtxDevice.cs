using System.Runtime.InteropServices;
using KernelAD.Interop;

namespace KernelAD.Emulator.Tests;

/// <summary>A device's memory with what it takes to run a PTX snippet on it.</summary>
internal sealed unsafe class PtxDevice : IDisposable
{
    public PtxDevice(EmulatorOptions? options = null)
    {
        Options = options ?? new() { Threads = 1 };
        Memory = new(1 << 30, Options.Checks.HasFlag(EmulatorChecks.Initialisation));
    }

    public EmulatorOptions Options { get; }

    public GlobalMemory Memory { get; }

    /// <summary>A module of one kernel <c>k</c> with registers of every kind.</summary>
    public static string Module(string parameters, string body, string directives = "", string declarations = "", string target = "sm_80") => $$"""
        .version 7.8
        .target {{target}}
        .address_size 64
        {{declarations}}
        .visible .entry k({{parameters}}) {{directives}}
        {
            .reg .pred %p<20>;
            .reg .b16 %h<40>;
            .reg .b32 %r<100>;
            .reg .b64 %rd<100>;
            .reg .f32 %f<100>;
            .reg .f64 %d<20>;
        {{body}}
        }
        """;

    public static PtxKernel Kernel(string ptx, string architecture = "sm_90") => PtxModule.Parse("test", ptx, EmulatedTarget.Find(architecture)).Kernels["k"];

    public ulong Upload<T>(params T[] values)
        where T : unmanaged
    {
        ulong address = Allocate<T>(values.Length);
        MemoryMarshal.AsBytes<T>(values).CopyTo(new Span<byte>(Memory.Resolve(address, (long)values.Length * sizeof(T)), values.Length * sizeof(T)));
        Memory.MarkInitialised(address, (long)values.Length * sizeof(T));
        return address;
    }

    public ulong Allocate<T>(int count)
        where T : unmanaged => Memory.Allocate((long)count * sizeof(T));

    public T[] Download<T>(ulong address, int count)
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(new ReadOnlySpan<byte>(Memory.Resolve(address, (long)count * sizeof(T)), count * sizeof(T))).ToArray();

    /// <summary>Runs a kernel whose parameters are 64 bits each.</summary>
    public LaunchCounters Run(PtxKernel kernel, LaunchSize grid, LaunchSize block, int sharedBytes, params ulong[] parameters) =>
        KernelRun.Execute(kernel, grid, block, sharedBytes, MemoryMarshal.AsBytes<ulong>(parameters), Memory, Options);

    public void Dispose() => Memory.Dispose();
}
