using System.ComponentModel;
using System.Diagnostics;

namespace KernelAD.Testing;

/// <summary>Builds libcuda.c, the CUDA driver without a device. Compiled into every test project that needs one.</summary>
internal static class StubLibrary
{
    private static readonly Lazy<(string? File, string? Reason)> Built = new(Build);

    /// <summary>The built library's file; ignores the test where there is no C compiler.</summary>
    public static string File
    {
        get
        {
            if (Built.Value.File is null)
            {
                Assert.Ignore(Built.Value.Reason!);
            }

            return Built.Value.File!;
        }
    }

    private static (string? File, string? Reason) Build()
    {
        if (OperatingSystem.IsWindows())
        {
            return (null, "the stub driver is built with a compiler for Unix");
        }

        string source = Path.Combine(AppContext.BaseDirectory, "StubDriver", "libcuda.c");
        string library = Path.Combine(AppContext.BaseDirectory, $"libcuda-stub-{Environment.ProcessId}.so");
        AppDomain.CurrentDomain.ProcessExit += (_, _) => System.IO.File.Delete(library);
        foreach (string compiler in (string[])["cc", "gcc", "clang"])
        {
            if (Run(compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", library, source))
            {
                return (library, null);
            }
        }

        return (null, "the stub driver needs a C compiler: none of cc, gcc, clang is on the PATH");
    }

    /// <summary>Whether there is such a compiler; a source that it refuses is a failure.</summary>
    private static bool Run(string compiler, params string[] arguments)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(compiler, arguments) { RedirectStandardError = true })!;
            string errors = process.StandardError.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0 ? true : throw new InvalidOperationException($"{compiler} cannot build the stub driver: {errors}");
        }
        catch (Win32Exception)
        {
            return false;
        }
    }
}
