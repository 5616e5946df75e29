namespace KernelAD.Weights;

/// <summary>Files that appear under their name complete or not at all: written to a temporary file in the same folder, flushed to the disk, renamed.</summary>
public static class AtomicFile
{
    /// <summary>Writes a file, replacing an older one of that name.</summary>
    /// <param name="path">The file.</param>
    /// <param name="contents">Its content.</param>
    /// <exception cref="OutputException">The folder is missing or not writable, or the disk is full.</exception>
    public static void WriteAllBytes(string path, byte[] contents)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(contents);
        Write(path, contents.Length, CreateNew, file => file.Write(contents));
    }

    /// <summary>Opens a new file for writing; fails if it exists.</summary>
    internal static Stream CreateNew(string path) => new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 16);

    /// <summary>Writes a file, replacing an older one of that name.</summary>
    /// <param name="path">The file.</param>
    /// <param name="bytes">How long it becomes, for the message.</param>
    /// <param name="create">Opens the temporary file; <see cref="CreateNew"/> but for tests of a disk that misbehaves.</param>
    /// <param name="write">Writes the content.</param>
    /// <exception cref="OutputException">The folder is missing or not writable, or the disk is full.</exception>
    internal static void Write(string path, long bytes, Func<string, Stream> create, Action<Stream> write)
    {
        string temporary = $"{path}.tmp-{Path.GetRandomFileName()}";
        bool done = false;
        try
        {
            using (Stream file = create(temporary))
            {
                write(file);
                file.Flush();
                (file as FileStream)?.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
            done = true;
        }
        catch (Exception e) when (IsOutputFault(e))
        {
            throw new OutputException(
                $"{path}: cannot be written: {e.Message} Check that the folder exists and is writable and that the disk has {bytes:N0} bytes free.", e);
        }
        finally
        {
            if (!done)
            {
                DeleteQuietly(temporary);
            }
        }
    }

    private static bool IsOutputFault(Exception e) => e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException;

    private static void DeleteQuietly(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (IsOutputFault(e))
        {
            // The error that led here is the one worth reporting.
        }
    }
}
