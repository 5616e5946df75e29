using KernelAD.Imaging;
using KernelAD.Preprocessing;

namespace KernelAD.Cli;

/// <summary>
/// Draws a detector's maps over pictures: where the network looked, with a red line round what reaches the pixel threshold, or the threshold where there is no
/// other.
/// </summary>
internal sealed class OverlayPainter(AnomalyDetector detector)
{
    private readonly PicturePreprocessor _preprocessor = new(detector.Preprocessing);

    /// <summary>Draws one overlay in the picture's own resolution.</summary>
    public Picture Draw(Picture picture, ReadOnlySpan<float> map, HeatMapScale scale) =>
        Overlay.Draw(picture.View, new MapView(map, detector.MapHeight, detector.MapWidth), new OverlayOptions(scale)
        {
            Region = _preprocessor.Region(picture.Height, picture.Width),
            Threshold = (float?)(detector.PixelThreshold ?? detector.Threshold),
        });
}
