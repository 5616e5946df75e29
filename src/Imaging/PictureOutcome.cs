namespace KernelAD.Imaging;

/// <summary>
/// What came of one picture of a <see cref="PicturePipeline"/>: an error, or picture, score and map, which are valid until the call that receives them returns.
/// </summary>
public sealed class PictureOutcome
{
    internal PictureOutcome(string error)
    {
        Error = error;
    }

    internal PictureOutcome(Picture picture, TimeSpan decode, TimeSpan preprocess)
    {
        Picture = picture;
        Decode = decode;
        Preprocess = preprocess;
    }

    /// <summary>Why there is no score; null if there is one.</summary>
    public string? Error { get; internal set; }

    /// <summary>The decoded picture; null if there is an error.</summary>
    public Picture? Picture { get; }

    /// <summary>The raw image score.</summary>
    public float Score { get; internal set; }

    /// <summary>The raw anomaly map, row by row, in the model's resolution; empty if there is an error.</summary>
    public ReadOnlyMemory<float> Map { get; internal set; }

    /// <summary>Time to read and decode the picture.</summary>
    public TimeSpan Decode { get; }

    /// <summary>Time to resize, crop and normalise.</summary>
    public TimeSpan Preprocess { get; }

    /// <summary>This picture's part of its batch's time in the network.</summary>
    public TimeSpan Network { get; internal set; }
}
