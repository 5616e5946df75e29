namespace KernelAD.Evaluation.Calibration;

/// <summary>
/// A text file that says which pictures are anomalous: one picture a line, its path, a comma, its label. Paths are relative to the file's folder.
/// </summary>
public static class LabelFile
{
    private static readonly string[] Good = ["0", "good", "ok", "normal"];
    private static readonly string[] Anomalous = ["1", "bad", "nok", "anomalous", "anomaly"];

    /// <summary>Reads labels.</summary>
    /// <returns>For every picture, by its full path, whether it is anomalous.</returns>
    /// <exception cref="CalibrationException">The file cannot be read, or a line is not a path and a label.</exception>
    public static IReadOnlyDictionary<string, bool> Read(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        Dictionary<string, bool> labels = new(StringComparer.Ordinal);
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        try
        {
            int number = 0;
            foreach (string line in File.ReadLines(path))
            {
                number++;
                int comma = line.LastIndexOf(',');
                string label = line[(comma + 1)..].Trim(), picture = comma < 0 ? "" : line[..comma].Trim().Trim('"');
                if (string.IsNullOrWhiteSpace(line) || (number == 1 && label is "label" or "truth"))
                {
                    continue;
                }

                bool good = Good.Contains(label, StringComparer.OrdinalIgnoreCase);
                if (picture.Length == 0 || !(good || Anomalous.Contains(label, StringComparer.OrdinalIgnoreCase)))
                {
                    throw new CalibrationException(
                        $"{path}, line {number}: expected a picture's path, a comma, and one of {string.Join(", ", Good)}, {string.Join(", ", Anomalous)}; found \"{line}\"");
                }

                labels[Path.GetFullPath(Path.Combine(folder, picture))] = !good;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CalibrationException($"{path}: cannot be read: {e.Message}", e);
        }

        return labels;
    }
}
