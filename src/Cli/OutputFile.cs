using System.Text;
using KernelAD.Weights;

namespace KernelAD.Cli;

/// <summary>Places to write to: checked before the work begins, and never left with half a file.</summary>
internal static class OutputFile
{
    /// <summary>Creates a folder if need be and makes sure that files can be written to it.</summary>
    /// <exception cref="OutputException">They cannot.</exception>
    public static void PrepareFolder(string folder)
    {
        string probe = Path.Combine(folder, $".kernelad-{Path.GetRandomFileName()}");
        try
        {
            Directory.CreateDirectory(folder);
            using FileStream file = new(probe, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new OutputException($"{folder}: files cannot be written there: {e.Message} Choose another folder with -o.", e);
        }
    }

    /// <summary>Writes a text file in UTF-8, complete or not at all.</summary>
    /// <exception cref="OutputException">The folder is missing or not writable, or the disk is full.</exception>
    public static void WriteText(string path, string text) => AtomicFile.WriteAllBytes(path, Encoding.UTF8.GetBytes(text));
}
