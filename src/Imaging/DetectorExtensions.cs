using System.Runtime.CompilerServices;
using KernelAD.Weights;

namespace KernelAD.Imaging;

/// <summary>Detection on picture files, and overlays of results. The Engine itself knows pixels only.</summary>
public static class DetectorExtensions
{
    /// <summary>Judges a picture file.</summary>
    /// <param name="detector">The detector.</param>
    /// <param name="path">JPEG, PNG, BMP or WebP.</param>
    /// <param name="options">How to read it; null for the defaults (EXIF orientation is not applied).</param>
    /// <param name="cancellation">Cancels between steps of the plan.</param>
    /// <exception cref="PictureException">The file is no readable picture.</exception>
    public static AnomalyResult Detect(
        this AnomalyDetector detector, string path, PictureReadOptions? options = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(detector);
        using Picture picture = PictureFile.Read(path, options);
        return detector.Detect(picture.View, cancellation).From(path);
    }

    /// <summary>Judges picture files one after the other, in order; the next file is read and decoded while the network works.</summary>
    /// <param name="detector">The detector.</param>
    /// <param name="paths">The files; taken one by one, so the sequence may be endless.</param>
    /// <param name="options">How to read them.</param>
    /// <param name="cancellation">Ends the sequence.</param>
    /// <exception cref="PictureException">A file is no readable picture; the sequence ends with it.</exception>
    public static async IAsyncEnumerable<AnomalyResult> DetectAsync(
        this AnomalyDetector detector,
        IEnumerable<string> paths,
        PictureReadOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(detector);
        ArgumentNullException.ThrowIfNull(paths);
        using IEnumerator<string> files = paths.GetEnumerator();
        Task<(string Path, Picture Picture)>? next = ReadNext();
        try
        {
            while (next is not null)
            {
                (string path, Picture picture) = await next.ConfigureAwait(false);
                using (picture)
                {
                    next = ReadNext();
                    yield return await Task.Run(() => detector.Detect(picture.View, cancellation).From(path), cancellation).ConfigureAwait(false);
                }
            }
        }
        finally
        {
            // Whoever stops early leaves a picture being read: it goes back to its pool, and how its reading ended is of no interest any more.
            if (next is not null)
            {
                try
                {
                    (await next.ConfigureAwait(false)).Picture.Dispose();
                }
                catch (Exception e) when (e is BadInputException or OperationCanceledException)
                {
                }
            }
        }

        Task<(string, Picture)>? ReadNext()
        {
            if (!files.MoveNext())
            {
                return null;
            }

            string path = files.Current;
            return Task.Run(() => (path, PictureFile.Read(path, options)), cancellation);
        }
    }

    /// <summary>
    /// Writes the result's heat map over its picture as PNG, in the picture's own resolution; what reaches the pixel threshold gets a red line round it.
    /// </summary>
    /// <param name="result">A result of a file.</param>
    /// <param name="path">The PNG to write.</param>
    /// <param name="scale">
    /// Values of the lowest and the highest colour; give the same to all pictures that are to be compared. Null: 0 to twice the pixel threshold, or the
    /// threshold, if there is one, so that the threshold has the middle colour; otherwise 0 to this map's own maximum, which makes every picture's worst spot
    /// red.
    /// </param>
    /// <param name="options">How the result's file is read again; must be as it was for detection.</param>
    /// <exception cref="InvalidOperationException">The result is not of a file.</exception>
    /// <exception cref="PictureException">The picture can no longer be read.</exception>
    /// <exception cref="OutputException">The overlay cannot be written.</exception>
    public static void SaveOverlay(this AnomalyResult result, string path, HeatMapScale? scale = null, PictureReadOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(result);
        string source = result.Source ?? throw new InvalidOperationException("the result is of pixels, not of a file: draw it with Overlay.Draw");
        using Picture picture = PictureFile.Read(source, options);
        MapView map = new(result.Map.Span, result.MapHeight, result.MapWidth);
        using Picture overlay = Overlay.Draw(picture.View, map, new OverlayOptions(scale ?? DefaultScale(result))
        {
            Region = result.Region,
            Threshold = (float?)result.PixelThreshold,
        });
        PictureFile.WritePng(path, overlay.View);
    }

    private static HeatMapScale DefaultScale(AnomalyResult result)
    {
        float top = (result.PixelThreshold ?? result.Threshold) is > 0 and double threshold ? (float)(2 * threshold) : 0;
        if (top == 0)
        {
            foreach (float value in result.Map.Span)
            {
                top = Math.Max(top, value);
            }
        }

        return new HeatMapScale(0, top > 0 ? top : 1);
    }
}
