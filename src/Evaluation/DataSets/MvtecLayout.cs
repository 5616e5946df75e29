namespace KernelAD.Evaluation.DataSets;

/// <summary>
/// MVTec AD (Bergmann et al., IJCV 2021): <c>CATEGORY/train/good</c>, <c>CATEGORY/test/good</c>, <c>CATEGORY/test/DEFECT</c>, masks
/// <c>CATEGORY/ground_truth/DEFECT/NAME_mask.png</c>, also without <c>_mask</c>; good pictures have none. A single category will do.
/// </summary>
internal static class MvtecLayout
{
    private const string Good = "good";

    /// <summary>Whether a folder looks like it.</summary>
    public static bool Fits(DataSetFolder root) => CategoryFolders.Find(root, Good).Count > 0;

    /// <summary>Lists the samples.</summary>
    public static void Read(DataSetFolder root, SampleList samples) => CategoryFolders.Read(root, Good, samples);
}
