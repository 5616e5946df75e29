using System.Globalization;
using System.Net;
using System.Text;
using KernelAD.Imaging;

namespace KernelAD.Cli;

/// <summary>A judged picture of the demo.</summary>
/// <param name="Sample">The picture and what is known about it.</param>
/// <param name="Score">Its raw score.</param>
/// <param name="IsAnomalous">The verdict.</param>
/// <param name="Original">The picture as a data address.</param>
/// <param name="Overlay">The overlay as a data address.</param>
internal sealed record DemoResult(SamplePicture Sample, float Score, bool IsAnomalous, string Original, string Overlay)
{
    /// <summary>Whether the verdict is what the data set says.</summary>
    public bool IsRight => IsAnomalous == Sample.IsDefective;

    /// <summary>The verdict against the truth, in a word or two.</summary>
    public string Outcome => (Sample.IsDefective, IsAnomalous) switch
    {
        (true, true) => "found",
        (true, false) => "missed",
        (false, true) => "false alarm",
        (false, false) => "passed",
    };
}

/// <summary>The demo's results as one HTML page that holds its pictures in itself and runs no scripts.</summary>
internal static class DemoPage
{
    private const string Style = """
        :root { color-scheme: light; }
        body { margin: 0 auto; max-width: 76rem; padding: 2rem 1.5rem 3rem; background: #fafafa; color: #1d1f23; font: 16px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
        h1 { margin: 0 0 .3rem; font-size: 1.7rem; }
        h2 { margin: 2.2rem 0 .8rem; font-size: 1.2rem; }
        p { margin: .4rem 0; max-width: 62rem; }
        .quiet { color: #5b6068; font-size: .88rem; }
        .facts { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
        .facts div { background: #fff; border: 1px solid #dfe2e6; border-radius: .5rem; padding: .5rem .9rem; }
        .facts b { display: block; font-size: 1.15rem; }
        .scale { margin: 1.2rem 0; max-width: 30rem; }
        .scale img { display: block; width: 100%; height: 1.1rem; border-radius: .2rem; }
        .scale div { display: grid; grid-template-columns: 1fr auto 1fr; font-size: .88rem; font-variant-numeric: tabular-nums; }
        .scale span:last-child { text-align: right; }
        footer { margin-top: 2rem; }
        .cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(22rem, 1fr)); gap: 1rem; }
        figure { margin: 0; background: #fff; border: 1px solid #dfe2e6; border-radius: .5rem; overflow: hidden; }
        figure .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 2px; background: #dfe2e6; }
        figure img { display: block; width: 100%; height: auto; }
        figcaption { display: flex; align-items: baseline; gap: .6rem; padding: .55rem .8rem; font-size: .92rem; }
        figcaption .score { font-weight: 600; font-variant-numeric: tabular-nums; }
        figcaption .name { margin-left: auto; color: #5b6068; font-size: .82rem; }
        .tag { border-radius: 1rem; padding: .05rem .6rem; font-size: .82rem; white-space: nowrap; }
        .right { background: #dff3e4; color: #14532d; }
        .wrong { background: #fde7c7; color: #7c3d00; }
        """;

    /// <summary>Writes the page.</summary>
    /// <param name="samples">What was shown.</param>
    /// <param name="results">One result for each picture.</param>
    /// <param name="ran">Model, device and precision, in words.</param>
    /// <param name="auroc">Image AUROC of the pictures shown.</param>
    /// <param name="scale">The colours' scale.</param>
    public static string Render(SampleSet samples, IReadOnlyList<DemoResult> results, string ran, double auroc, HeatMapScale scale)
    {
        StringBuilder html = new();
        html.Append(CultureInfo.InvariantCulture, $"""
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>KernelAD: {Escape(samples.Title)}</title>
            <style>
            {Style}
            </style>
            </head>
            <body>
            <h1>KernelAD: {Escape(samples.Title)}</h1>
            <p>{Escape(samples.Origin)}</p>
            <p>{Escape(samples.Quality)}</p>
            <div class="facts">
            <div><b>{results.Count(r => r is { IsRight: true, IsAnomalous: true })} of {results.Count(r => r.Sample.IsDefective)}</b>defective pictures shown are found</div>
            <div><b>{results.Count(r => r is { IsRight: false, IsAnomalous: true })} of {results.Count(r => !r.Sample.IsDefective)}</b>good pictures shown are flagged</div>
            <div><b>{auroc:F3}</b>image AUROC of the {results.Count} pictures shown</div>
            <div><b>{samples.Threshold:G4}</b>threshold of the score</div>
            </div>
            <p>Threshold: {Escape(samples.ThresholdOrigin)}</p>
            <div class="scale">
            <img src="{ColorBar()}" alt="colour bar from low to high">
            <div><span>{scale.Min:G4}</span><span>{(scale.Min + scale.Max) / 2:G4} = threshold</span><span>≥ {scale.Max:G4}</span></div>
            </div>
            <p class="quiet">Left the picture, right its anomaly map laid over it. One colour scale serves all pictures. A red line goes round what reaches the threshold; the score is the map’s highest value.</p>

            """);
        foreach ((string heading, bool defective) in new[] { ("Defective", true), ("Good", false) })
        {
            html.Append(CultureInfo.InvariantCulture, $"<h2>{heading}</h2>\n<div class=\"cards\">\n");
            foreach (DemoResult result in results.Where(r => r.Sample.IsDefective == defective))
            {
                AppendCard(html, result);
            }

            html.Append("</div>\n");
        }

        html.Append(CultureInfo.InvariantCulture, $"<footer>\n<p class=\"quiet\">Ran on: {Escape(ran)}.</p>\n<p class=\"quiet\">{Escape(samples.Attribution)}</p>\n</footer>\n</body>\n</html>\n");
        return html.ToString();
    }

    private static void AppendCard(StringBuilder html, DemoResult result)
    {
        string name = Escape(Path.GetFileName(result.Sample.Entry.RelativePath));
        html.Append(CultureInfo.InvariantCulture, $"""
            <figure>
            <div class="pair"><img src="{result.Original}" alt="{name}"><img src="{result.Overlay}" alt="anomaly map over {name}"></div>
            <figcaption><span class="score">{result.Score:F4}</span><span class="tag {(result.IsRight ? "right" : "wrong")}">{result.Outcome}</span><span class="name">{name}</span></figcaption>
            </figure>

            """);
    }

    private static string ColorBar()
    {
        float[] ramp = [.. Enumerable.Range(0, 256).Select(i => (float)i)];
        using Picture bar = HeatMap.Draw(new MapView(ramp, height: 1, ramp.Length), new HeatMapScale(0, 255));
        return PngEncoder.ToDataUri(bar.View);
    }

    private static string Escape(string text) => WebUtility.HtmlEncode(text);
}
