using KernelAD.Imaging;
using KernelAD.Preprocessing;

namespace KernelAD.Evaluation.DataSets;

/// <summary>
/// Reads masks and brings them to the size of a model's map by the same resize and crop as its pictures. Thread-safe.
/// </summary>
public sealed class MaskReader
{
    private readonly PicturePreprocessor _geometry;
    private readonly MaskRule _rule;
    private readonly int _threshold;

    /// <summary>Prepares for a model.</summary>
    /// <param name="preprocessing">How the model's pictures are prepared.</param>
    /// <param name="rule">How masks are resized.</param>
    /// <param name="threshold">Values above it are anomalous, 0 … 254. 0 suits masks of class numbers; anti-aliased ones need 127.</param>
    /// <exception cref="ConfigurationException"><see cref="MaskRule.Original"/> with a model that cuts pictures to a part.</exception>
    public MaskReader(PicturePreprocessing preprocessing, MaskRule rule = MaskRule.Ader, int threshold = 0)
    {
        ArgumentNullException.ThrowIfNull(preprocessing);
        ArgumentOutOfRangeException.ThrowIfNegative(threshold);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(threshold, 254);
        bool crops = preprocessing.ResizeShortSide is not null
            || preprocessing.CropHeight != preprocessing.ResizeHeight || preprocessing.CropWidth != preprocessing.ResizeWidth;
        if (rule == MaskRule.Original && crops)
        {
            throw new ConfigurationException(
                "masks of the original size need a map of the whole picture, but this model cuts pictures to a part; choose another mask rule: ader, nearest-pillow, nearest-torch");
        }

        _geometry = new PicturePreprocessor(preprocessing with { Filter = Interpolation.Bilinear });
        _rule = rule;
        _threshold = threshold;
    }

    /// <summary>The mask of a sample in the size that metrics are computed at: the map's, or with <see cref="MaskRule.Original"/> the picture's.</summary>
    /// <param name="sample">The sample. A good one has an empty mask, whether or not it has a mask file.</param>
    /// <param name="pictureHeight">Height of its picture.</param>
    /// <param name="pictureWidth">Width of its picture.</param>
    /// <exception cref="PictureException">The mask file cannot be read, or has another size than the picture.</exception>
    /// <exception cref="ArgumentException">It is not known which pixels are anomalous, see <see cref="Sample.HasPixelTruth"/>.</exception>
    public Mask Read(Sample sample, int pictureHeight, int pictureWidth)
    {
        ArgumentNullException.ThrowIfNull(sample);
        if (!sample.HasPixelTruth)
        {
            throw new ArgumentException($"{sample.Name} is anomalous and has no mask", nameof(sample));
        }

        if (!sample.IsAnomalous)
        {
            return _rule == MaskRule.Original
                ? new Mask(pictureHeight, pictureWidth, new byte[pictureHeight * pictureWidth], MaskRemark.None)
                : new Mask(_geometry.Height, _geometry.Width, new byte[_geometry.Height * _geometry.Width], MaskRemark.None);
        }

        using Picture file = PictureFile.Read(sample.MaskPath!);
        if (file.Height != pictureHeight || file.Width != pictureWidth)
        {
            throw new PictureException(
                $"{sample.MaskPath}: the mask has {file.Width}×{file.Height} pixels, its picture {pictureWidth}×{pictureHeight}; they must be equal");
        }

        return Resize(Binarise(file), file.Height, file.Width);
    }

    /// <summary>Brings marks of 0 and 1 to the size that metrics are computed at.</summary>
    internal Mask Resize(byte[] marks, int height, int width)
    {
        if (_rule == MaskRule.Original)
        {
            return new Mask(height, width, marks, marks.Contains((byte)1) ? MaskRemark.None : MaskRemark.Empty);
        }

        byte[] resized = _rule == MaskRule.Ader ? Bilinear(marks, height, width) : Nearest(marks, height, width);
        MaskRemark remark = resized.Contains((byte)1) ? MaskRemark.None : marks.Contains((byte)1) ? MaskRemark.Vanished : MaskRemark.Empty;
        return new Mask(_geometry.Height, _geometry.Width, resized, remark);
    }

    private byte[] Binarise(Picture file)
    {
        byte[] marks = new byte[file.Width * file.Height];
        ReadOnlySpan<byte> pixels = file.Pixels;
        int bytes = file.Format.BytesPerPixel();
        for (int i = 0; i < marks.Length; i++)
        {
            // Masks are grey; where one is not, any colour marks.
            ReadOnlySpan<byte> pixel = pixels.Slice(i * bytes, 3);
            marks[i] = Math.Max(Math.Max(pixel[0], pixel[1]), pixel[2]) > _threshold ? (byte)1 : (byte)0;
        }

        return marks;
    }

    private byte[] Bilinear(byte[] marks, int height, int width)
    {
        byte[] grey = new byte[marks.Length];
        for (int i = 0; i < grey.Length; i++)
        {
            grey[i] = (byte)(marks[i] * 255);
        }

        byte[] rgb = new byte[_geometry.Length];
        _geometry.Crop(new PictureView(grey, width, height, PixelFormat.Gray8), rgb, new PreprocessingScratch());
        byte[] result = new byte[rgb.Length / 3];
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = rgb[3 * i] >= 128 ? (byte)1 : (byte)0;
        }

        return result;
    }

    private byte[] Nearest(byte[] marks, int height, int width)
    {
        ResizedExtent extent = _geometry.Resized(height, width);
        int[] rows = Sources(height, extent.Height, extent.Top, _geometry.Height), columns = Sources(width, extent.Width, extent.Left, _geometry.Width);
        byte[] result = new byte[_geometry.Height * _geometry.Width];
        for (int y = 0; y < rows.Length; y++)
        {
            for (int x = 0; x < columns.Length; x++)
            {
                result[(y * columns.Length) + x] = rows[y] < 0 || columns[x] < 0 ? (byte)0 : marks[(rows[y] * width) + columns[x]];
            }
        }

        return result;
    }

    /// <summary>For each pixel of the map along one axis its source pixel; −1 where the map is padded.</summary>
    /// <param name="input">Pixels of the mask.</param>
    /// <param name="output">Pixels after resizing.</param>
    /// <param name="start">Where the map begins in the resized mask; negative where it is padded.</param>
    /// <param name="count">Pixels of the map.</param>
    private int[] Sources(int input, int output, int start, int count)
    {
        int[] all = new int[output];

        // Both as the originals compute it, rounding included: Pillow adds up steps in double, PyTorch multiplies in float.
        double step = (double)input / output, position = 0.5 * step;
        float scale = (float)input / output;
        for (int i = 0; i < output; i++, position += step)
        {
            all[i] = Math.Min(_rule == MaskRule.NearestPillow ? (int)position : (int)(i * scale), input - 1);
        }

        return [.. Enumerable.Range(start, count).Select(i => i >= 0 && i < output ? all[i] : -1)];
    }
}
