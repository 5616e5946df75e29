namespace KernelAD.Evaluation.DataSets;

/// <summary>
/// BTAD, beanTech (Mishra et al., ISIE 2021): <c>CATEGORY/train/ok</c>, <c>CATEGORY/test/ok</c>, <c>CATEGORY/test/ko</c>, masks
/// <c>CATEGORY/ground_truth/ko</c>. Pictures and masks may have different extensions (.bmp and .png); they belong together by the rest of the name.
/// </summary>
internal static class BtadLayout
{
    private const string Good = "ok";

    /// <summary>Whether a folder looks like it.</summary>
    public static bool Fits(DataSetFolder root) => CategoryFolders.Find(root, Good).Count > 0;

    /// <summary>Lists the samples.</summary>
    public static void Read(DataSetFolder root, SampleList samples) => CategoryFolders.Read(root, Good, samples);
}
