using KernelAD.Preprocessing;

namespace KernelAD.Imaging;

/// <summary>Small copies of pictures, for reports.</summary>
public static class Thumbnail
{
    /// <summary>
    /// Shrinks a picture so that its longer side is at most <paramref name="maxSide"/> pixels; a smaller one keeps its extent.
    /// </summary>
    /// <returns>An RGB picture.</returns>
    public static Picture Create(PictureView picture, int maxSide)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxSide, 1);
        PictureView.CheckExtent(picture.Width, picture.Height);
        double factor = Math.Min((double)maxSide / Math.Max(picture.Width, picture.Height), 1);
        int width = Math.Max((int)Math.Round(picture.Width * factor), 1);
        int height = Math.Max((int)Math.Round(picture.Height * factor), 1);
        Picture thumbnail = new(width, height, PixelFormat.Rgb24);
        PillowResampler.Resize(picture, width, height, Interpolation.Bilinear, thumbnail.Pixels);
        return thumbnail;
    }
}
