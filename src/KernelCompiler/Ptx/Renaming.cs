using System.Globalization;
using System.Text.RegularExpressions;

namespace KernelAD.KernelCompiler.Ptx;

/// <summary>
/// ILGPU numbers labels and parameters through a whole process. Numbered anew, from 0 in order of appearance, a kernel's text depends on its source alone; the
/// entry gets the kernel's name.
/// </summary>
internal static partial class Renaming
{
    public static PtxText Apply(PtxText text, string entry)
    {
        const string Parameter = "arguments";
        Dictionary<string, string> labels = [];
        foreach (PtxLine line in text.Body.Where(l => l.IsLabel))
        {
            labels.Add(line.Text[..^1], string.Create(CultureInfo.InvariantCulture, $"L{labels.Count}"));
        }

        IEnumerable<PtxLine> body = text.Body.Select(l => new PtxLine(
            Label().Replace(l.Text, m => labels[m.Value]).Replace($"[{text.Parameter}", $"[{Parameter}", StringComparison.Ordinal)));
        return text.With(body, entry, Parameter);
    }

    [GeneratedRegex(@"\bL_\d+\b")]
    private static partial Regex Label();
}
