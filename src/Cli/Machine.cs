using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using KernelAD.Backends.Cpu;

namespace KernelAD.Cli;

/// <summary>What there is to know about the machine and this build before anything is computed.</summary>
internal static class Machine
{
    // CPUID leaf 7, EBX: AVX2, and the five parts of AVX-512 that .NET's Vector512 needs (F, DQ, CD, BW, VL).
    private const int Avx2 = 1 << 5;
    private const int Avx512 = (1 << 16) | (1 << 17) | (1 << 28) | (1 << 30) | (1 << 31);

    /// <summary>The processor's own name, or its architecture where it has none.</summary>
    public static string Processor()
    {
        if (OperatingSystem.IsLinux() && File.Exists("/proc/cpuinfo"))
        {
            string? line = File.ReadLines("/proc/cpuinfo").FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal));
            if (line is not null)
            {
                return line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
            }
        }

        return Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER") ?? RuntimeInformation.ProcessArchitecture.ToString();
    }

    /// <summary>Bits of the widest vectors that the processor has.</summary>
    public static int WidestVectorBits()
    {
        if (!X86Base.IsSupported)
        {
            return 128;
        }

        int features = X86Base.CpuId(0, 0).Eax >= 7 ? X86Base.CpuId(7, 0).Ebx : 0;
        return (features & Avx512) == Avx512 ? 512 : (features & Avx2) != 0 ? 256 : 128;
    }

    /// <summary>How this program was compiled.</summary>
    public static string Compilation => RuntimeFeature.IsDynamicCodeCompiled ? "just in time, for this machine" : "ahead of time, for a fixed instruction set";

    /// <summary>A sentence if the processor has wider vectors than this process uses; otherwise null.</summary>
    public static string? VectorWarning()
    {
        int widest = WidestVectorBits();
        if (widest <= SimdTier.Bits)
        {
            return null;
        }

        string remedy = !RuntimeFeature.IsDynamicCodeCompiled
            ? $"use the build for x86-64-v{(widest == 512 ? 4 : 3)} or the one that compiles just in time"
            : "a DOTNET_Enable… variable switches them off, or .NET avoids them because they slow this processor's clock";
        return string.Create(CultureInfo.InvariantCulture, $"the processor has {widest}-bit vectors, this process uses {SimdTier.Bits}-bit ones: {remedy}");
    }
}
