namespace KernelAD.Preprocessing;

/// <summary>Resampling filters, each as Pillow computes it: antialiased, 8-bit integer arithmetic between the two passes.</summary>
public enum Interpolation
{
    /// <summary>Triangle filter, support 1.</summary>
    Bilinear,

    /// <summary>Keys' cubic with a = −0.5, support 2.</summary>
    Bicubic,

    /// <summary>sinc(x) · sinc(x/3), support 3.</summary>
    Lanczos,
}

/// <summary>
/// How a picture becomes the network's input: 8-bit RGB → resize → centre crop → divide by 255 → subtract mean, divide by standard deviation.
/// Part of every model file, so that scores cannot differ for want of the training code.
/// </summary>
/// <param name="ResizeHeight">Height after resizing; when <paramref name="ResizeShortSide"/> is set, unused.</param>
/// <param name="ResizeWidth">Width after resizing; when <paramref name="ResizeShortSide"/> is set, unused.</param>
/// <param name="ResizeShortSide">If set, the shorter side becomes this and the longer int(this · long / short), as torchvision does with one number.</param>
/// <param name="Filter">The resampling filter.</param>
/// <param name="CropHeight">Height of the centre crop; larger than the picture means padding with zeros, as torchvision's CenterCrop does.</param>
/// <param name="CropWidth">Width of the centre crop.</param>
/// <param name="Mean">Subtracted per channel (R, G, B) after dividing by 255.</param>
/// <param name="Std">Divides per channel after the subtraction.</param>
public sealed record PicturePreprocessing(
    int ResizeHeight,
    int ResizeWidth,
    int? ResizeShortSide,
    Interpolation Filter,
    int CropHeight,
    int CropWidth,
    float[] Mean,
    float[] Std)
{
    /// <summary>What is done, in words.</summary>
    public string Describe()
    {
        string resize = ResizeShortSide is int side ? $"short side to {side}" : $"{ResizeWidth}×{ResizeHeight}";
        string crop = ResizeShortSide is null && CropHeight == ResizeHeight && CropWidth == ResizeWidth ? "" : $", centre crop {CropWidth}×{CropHeight}";
        string normalise = Mean.All(m => m == 0) && Std.All(s => s == 1) ? "" : $", mean {string.Join(' ', Mean)}, std {string.Join(' ', Std)}";
        return $"RGB, {Filter.ToString().ToLowerInvariant()} resize to {resize} as Pillow{crop}, divided by 255{normalise}";
    }
}
