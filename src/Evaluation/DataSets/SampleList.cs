namespace KernelAD.Evaluation.DataSets;

/// <summary>Collects samples category by category, in the order in which layouts find them.</summary>
internal sealed class SampleList(DataSetFolder root)
{
    private readonly SortedDictionary<string, List<Sample>> _categories = new(StringComparer.Ordinal);

    /// <summary>Adds a picture.</summary>
    /// <param name="category">Its category.</param>
    /// <param name="picture">The file, relative to the root.</param>
    /// <param name="split">What it is for.</param>
    /// <param name="anomalous">What the data set says.</param>
    /// <param name="defect">Kind of defect.</param>
    /// <param name="mask">The mask file, or null.</param>
    public void Add(string category, string picture, SampleSplit split, bool anomalous, string defect, string? mask)
    {
        if (!_categories.TryGetValue(category, out List<Sample>? samples))
        {
            _categories.Add(category, samples = []);
        }

        samples.Add(new Sample(picture, root.Locate(picture), split, anomalous, defect, mask));
    }

    /// <summary>The categories in ordinal order, their samples likewise.</summary>
    public IReadOnlyList<Category> ToCategories() => [.. _categories.Select(c => new Category(c.Key, Of(c.Value, SampleSplit.Train), Of(c.Value, SampleSplit.Test)))];

    private static Sample[] Of(List<Sample> samples, SampleSplit split) =>
        [.. samples.Where(s => s.Split == split).OrderBy(s => s.Name, StringComparer.Ordinal)];
}
