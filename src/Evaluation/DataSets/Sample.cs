namespace KernelAD.Evaluation.DataSets;

/// <summary>What a picture of a data set is for.</summary>
public enum SampleSplit
{
    /// <summary>For training: good pictures only, in all data sets that are read.</summary>
    Train,

    /// <summary>For measuring how well a model finds anomalies.</summary>
    Test,
}

/// <summary>One picture of a data set, by name; its pixels are not read.</summary>
/// <param name="Name">Path below the data set's root, with '/' between folders.</param>
/// <param name="PicturePath">The picture file.</param>
/// <param name="Split">What it is for.</param>
/// <param name="IsAnomalous">What the data set says; never derived from a mask.</param>
/// <param name="Defect">Kind of defect as the data set calls it; for good pictures its word for good.</param>
/// <param name="MaskPath">File that marks the anomalous pixels; null if there is none, which is the rule for good pictures.</param>
public sealed record Sample(string Name, string PicturePath, SampleSplit Split, bool IsAnomalous, string Defect, string? MaskPath)
{
    /// <summary>
    /// Whether it is known which pixels are anomalous: by a mask, or because none is. An anomalous picture without a mask has to be left out of pixel metrics.
    /// </summary>
    public bool HasPixelTruth => !IsAnomalous || MaskPath is not null;
}

/// <summary>One category of a data set: the pictures of one kind of product. A model is trained and measured on one category, or on all together.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Train">Pictures for training, in ordinal order of their names.</param>
/// <param name="Test">Pictures for measuring, in ordinal order of their names.</param>
public sealed record Category(string Name, IReadOnlyList<Sample> Train, IReadOnlyList<Sample> Test);
