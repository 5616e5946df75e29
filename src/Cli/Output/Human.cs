using System.Globalization;
using Spectre.Console;

namespace KernelAD.Cli.Output;

/// <summary>
/// Text for people on stdout. On a terminal tables fit its width and may have colours (unless NO_COLOR is set); elsewhere they are plain text that is never
/// wrapped, so that lines can be searched and cut.
/// </summary>
internal static class Human
{
    private static readonly bool Terminal = !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("TERM") != "dumb";

    private static readonly bool Colours = Terminal && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));

    /// <summary>Prints a line.</summary>
    public static void Line(string text = "") => Console.Out.WriteLine(text);

    /// <summary>Prints the header of every result: what ran, and how.</summary>
    public static void Header(AnomalyDetector detector, DetectorOptions options, string modelPath, string further = "")
    {
        Line($"{detector.Model.Name} {modelPath}: {detector.Device}, {options.Precision.ToString().ToLowerInvariant()}{further}");
    }

    /// <summary>Creates a table; columns whose heading starts with '&gt;' are aligned to the right.</summary>
    public static Table Table(params ReadOnlySpan<string> headings)
    {
        Table table = new() { Border = Terminal ? TableBorder.Rounded : TableBorder.None };
        foreach (string heading in headings)
        {
            bool right = heading.StartsWith('>');
            table.AddColumn(new TableColumn(Markup.Escape(heading.TrimStart('>'))) { Alignment = right ? Justify.Right : Justify.Left });
        }

        return table;
    }

    /// <summary>Adds a row of plain text.</summary>
    public static void Row(this Table table, params ReadOnlySpan<string> cells) => table.AddRow([.. cells.ToArray().Select(c => new Text(Printable(c)))]);

    /// <summary>Prints a table.</summary>
    public static void Print(Table table)
    {
        using StringWriter text = new(CultureInfo.InvariantCulture);
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = Colours ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = Colours ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new AnsiConsoleOutput(text),
        });
        console.Profile.Width = Terminal ? Math.Max(Console.WindowWidth, 40) : 100_000;
        console.Profile.Capabilities.Unicode = true;
        console.Write(table);
        foreach (string line in text.ToString().Split('\n'))
        {
            if (line.TrimEnd() is { Length: > 0 } visible)
            {
                Line(visible);
            }
        }
    }

    /// <summary>File names may hold anything; control characters must not reach a terminal.</summary>
    public static string Printable(string text) => string.Concat(text.Select(c => char.IsControl(c) ? '\uFFFD' : c));
}
