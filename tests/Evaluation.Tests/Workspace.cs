namespace KernelAD.Evaluation.Tests;

/// <summary>A folder of its own for a test's files, deleted at the end.</summary>
internal sealed class Workspace : IDisposable
{
    public Workspace() => Directory.CreateDirectory(Folder);

    public string Folder { get; } = Path.Combine(Path.GetTempPath(), "kernelad-evaluation-tests-" + Guid.NewGuid().ToString("N"));

    public string this[string name] => Path.Combine(Folder, name);

    /// <summary>Creates files: empty ones, since listing a data set reads none.</summary>
    public void Touch(params string[] names)
    {
        foreach (string name in names)
        {
            Save(name, "");
        }
    }

    public string Save(string name, string content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(this[name])!);
        File.WriteAllText(this[name], content);
        return this[name];
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
