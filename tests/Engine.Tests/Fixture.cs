using System.Runtime.CompilerServices;

namespace KernelAD.Engine.Tests;

/// <summary>Where the test data lie in the source tree.</summary>
internal static class Fixture
{
    public static string Folder { get; } = Path.GetFullPath(Path.Combine(SourceFolder(), "..", "Fixtures"));

    public static string Golden(string model, string name) => Path.Combine(Folder, "golden", model, name);

    private static string SourceFolder([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
