namespace KernelAD.Testing;

/// <summary>Where the test data lie. Compiled into every test project.</summary>
internal static class Fixture
{
    /// <summary>tests/Fixtures of the source tree, found from where the tests were built (source paths are not kept in deterministic builds).</summary>
    public static string Folder { get; } = Path.Combine(Root(AppContext.BaseDirectory), "tests", "Fixtures");

    /// <summary>A golden case's folder.</summary>
    public static string Golden(string model, string name) => Path.Combine(Folder, "golden", model, name);

    /// <summary>A file below tests/Fixtures.</summary>
    public static string File(string relative) => Path.Combine(Folder, relative);

    /// <summary>Where the build keeps the PTX of unchanged kernels.</summary>
    public static string KernelCache { get; } = Path.Combine(Root(AppContext.BaseDirectory), "artifacts", "kernels", "cache");

    private static string Root(string? folder)
    {
        while (folder is not null && !System.IO.File.Exists(Path.Combine(folder, "KernelAD.sln")))
        {
            folder = Path.GetDirectoryName(folder);
        }

        return folder ?? throw new DirectoryNotFoundException("no KernelAD.sln above the tests");
    }
}
