using System.Globalization;
using System.Text;
using KernelAD.Weights;

namespace KernelAD.Cli;

/// <summary>
/// The CSV file that <c>kernelad detect</c> writes: one row a picture, in order, each handed to the system as soon as it is known, so that whatever ends the
/// process leaves whole rows, but perhaps for the last one.
/// </summary>
internal sealed class ResultTable : IDisposable
{
    private const string Header = "picture,width,height,score,threshold,is_anomalous,error";
    private const string LineEnd = "\r\n";
    private static readonly int Columns = Header.Split(',').Length;

    private readonly string _path;
    private readonly FileStream _file;
    private readonly Dictionary<string, int> _done = new(StringComparer.Ordinal);

    private ResultTable(string path, FileStream file)
    {
        _path = path;
        _file = file;
    }

    /// <summary>Rows that were there before and have a score.</summary>
    public int Judged { get; private set; }

    /// <summary>Rows that were there before and say anomalous.</summary>
    public int Anomalous { get; private set; }

    /// <summary>Rows that were there before and say why there is no score.</summary>
    public int Failed { get; private set; }

    /// <summary>Begins a table, in place of an older one.</summary>
    /// <exception cref="OutputException">The file cannot be written.</exception>
    public static ResultTable Create(string path)
    {
        ResultTable table = Open(path, FileMode.Create);
        table.Write(Header);
        return table;
    }

    /// <summary>Goes on with a table, or begins it if there is none. A last row that is not whole, because the process was killed, is removed.</summary>
    /// <param name="path">The file.</param>
    /// <param name="threshold">The threshold now; rows that were decided by another one are not mixed with.</param>
    /// <exception cref="OutputException">The file cannot be written.</exception>
    /// <exception cref="BadInputException">It is not such a table, or was decided by another threshold.</exception>
    public static ResultTable Resume(string path, double? threshold)
    {
        ResultTable table = Open(path, FileMode.OpenOrCreate);
        try
        {
            long whole = table.ReadRows(Number(threshold));
            table._file.SetLength(whole);
            table._file.Position = whole;
            if (whole == 0)
            {
                table.Write(Header);
            }

            return table;
        }
        catch
        {
            table.Dispose();
            throw;
        }
    }

    /// <summary>Whether the table had a row for this picture; a row counts for one picture only, should the same be named twice.</summary>
    public bool Skip(string picture)
    {
        if (!_done.TryGetValue(picture, out int count) || count == 0)
        {
            return false;
        }

        _done[picture] = count - 1;
        return true;
    }

    /// <summary>Adds a picture that was judged.</summary>
    public void Add(string picture, int width, int height, float score, double? threshold, bool? anomalous) => Write(string.Create(
        CultureInfo.InvariantCulture,
        $"{Quoted(picture)},{width},{height},{score:R},{Number(threshold)},{anomalous switch { true => "true", false => "false", null => "" }},"));

    /// <summary>Adds a picture that could not be judged.</summary>
    public void AddError(string picture, string error) => Write($"{Quoted(picture)},,,,,,{Quoted(error)}");

    /// <summary>Closes the file.</summary>
    public void Dispose() => _file.Dispose();

    private static ResultTable Open(string path, FileMode mode)
    {
        try
        {
            return new ResultTable(path, new FileStream(path, mode, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new OutputException($"{path}: cannot be written: {e.Message} Check that the folder exists and is writable.", e);
        }
    }

    private static string Number(double? value) => value?.ToString("R", CultureInfo.InvariantCulture) ?? "";

    private static string Quoted(string text) => text.AsSpan().IndexOfAny(",\"\r\n") < 0 ? text : $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    private void Write(string row)
    {
        try
        {
            _file.Write(Encoding.UTF8.GetBytes(row + LineEnd));
        }
        catch (IOException e)
        {
            throw new OutputException($"{_path}: cannot be written: {e.Message} With --resume the run can go on from here.", e);
        }
    }

    /// <summary>Remembers the rows that are there.</summary>
    /// <returns>How many bytes hold whole rows.</returns>
    private long ReadRows(string threshold)
    {
        byte[] content = new byte[_file.Length];
        _file.ReadExactly(content);
        int whole = 0, number = 0;
        List<string> fields = [];
        while (ReadRow(content, whole, fields) is int end)
        {
            number++;
            if (fields.Count != Columns || (number == 1 && string.Join(',', fields) != Header))
            {
                throw new BadInputException($"{_path}, row {number}: not a table of `kernelad detect`, which has the columns {Header}; name another file with --csv");
            }

            if (number > 1)
            {
                Remember(fields, number, threshold);
            }

            whole = end;
        }

        return whole;
    }

    private void Remember(List<string> fields, int number, string threshold)
    {
        if (fields[^1].Length > 0)
        {
            Failed++;
        }
        else
        {
            Judged++;
            Anomalous += fields[5] == "true" ? 1 : 0;
            if (fields[4] != threshold)
            {
                throw new BadInputException(
                    $"{_path}, row {number}: decided by the threshold {(fields[4].Length > 0 ? fields[4] : "\"none\"")}, now it is {(threshold.Length > 0 ? threshold : "none")}; "
                    + "begin a new table, or give the old threshold with --threshold");
            }
        }

        _done[fields[0]] = _done.GetValueOrDefault(fields[0]) + 1;
    }

    /// <summary>Takes a row apart.</summary>
    /// <returns>Where the next one begins; null if this one is not whole.</returns>
    private static int? ReadRow(ReadOnlySpan<byte> content, int start, List<string> fields)
    {
        fields.Clear();
        List<byte> field = [];
        bool quoted = false;
        for (int i = start; i < content.Length; i++)
        {
            byte c = content[i];
            if (c == '"')
            {
                // Inside quotes a doubled one stands for itself.
                if (quoted && i + 1 < content.Length && content[i + 1] == '"')
                {
                    field.Add(c);
                    i++;
                }
                else
                {
                    quoted = !quoted;
                }
            }
            else if (quoted || c is not ((byte)',' or (byte)'\r' or (byte)'\n'))
            {
                field.Add(c);
            }
            else if (c != '\r')
            {
                fields.Add(Encoding.UTF8.GetString([.. field]));
                field.Clear();
                if (c == '\n')
                {
                    return i + 1;
                }
            }
        }

        return null;
    }
}
