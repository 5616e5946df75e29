namespace KernelAD.Evaluation;

/// <summary>
/// Keeps the pictures of a category that tell most about its errors: good ones with the highest scores and anomalous ones with the lowest. Of few
/// pictures it keeps all.
/// </summary>
internal sealed class GallerySelection(int capacity)
{
    private readonly PriorityQueue<GalleryPicture, (double Badness, string Name)> _good = new(Order);
    private readonly PriorityQueue<GalleryPicture, (double Badness, string Name)> _anomalous = new(Order);

    /// <summary>Ties are broken by name, so that the selection does not depend on the order of the pictures.</summary>
    private static readonly Comparer<(double Badness, string Name)> Order = Comparer<(double Badness, string Name)>.Create((a, b) =>
        a.Badness != b.Badness ? a.Badness.CompareTo(b.Badness) : string.CompareOrdinal(b.Name, a.Name));

    /// <summary>Adds a picture, which may push out another one.</summary>
    public void Add(GalleryPicture picture, bool isAnomalous, float score)
    {
        PriorityQueue<GalleryPicture, (double Badness, string Name)> kept = isAnomalous ? _anomalous : _good;
        kept.Enqueue(picture, (isAnomalous ? -score : score, picture.Name));
        if (kept.Count > capacity / 2)
        {
            kept.Dequeue().Dispose();
        }
    }

    /// <summary>The pictures kept, in the order of their names.</summary>
    public IReadOnlyList<GalleryPicture> Finish() =>
        [.. _good.UnorderedItems.Concat(_anomalous.UnorderedItems).Select(i => i.Element).OrderBy(p => p.Name, StringComparer.Ordinal)];
}
