using KernelAD.Graph;

namespace KernelAD.Planner;

/// <summary>
/// The order of execution: what precedes the sliced region, the region (run once per slice), and what follows it.
/// </summary>
/// <param name="Before">Nodes that do not depend on the region.</param>
/// <param name="Region">The sliced region; empty in most models.</param>
/// <param name="After">Nodes that depend on it.</param>
/// <param name="Items">Extent of the region's first dimension: how many items there are to slice.</param>
internal sealed record Schedule(IReadOnlyList<Node> Before, IReadOnlyList<Node> Region, IReadOnlyList<Node> After, int Items)
{
    public static Schedule Of(ComputeGraph graph)
    {
        List<Node> before = [], region = [], after = [];
        HashSet<Node> dependent = [];
        foreach (Node node in graph.Nodes)
        {
            if (node.Sliced)
            {
                region.Add(node);
                dependent.Add(node);
            }
            else if (node.Inputs.Any(dependent.Contains))
            {
                after.Add(node);
                dependent.Add(node);
            }
            else
            {
                before.Add(node);
            }
        }

        int items = region.Count == 0 ? 0 : region[0].Shape[0];
        if (region.FirstOrDefault(n => n.Shape[0] != items) is Node odd)
        {
            throw new InvalidOperationException($"{odd} is in the sliced region of {items} items, but its first dimension is another");
        }

        if (after.FirstOrDefault(a => region.Any(r => r.Inputs.Contains(a))) is Node cycle)
        {
            throw new InvalidOperationException($"{cycle} depends on the sliced region and is read inside it");
        }

        return new Schedule(before, region, after, items);
    }

    /// <summary>
    /// The sizes that a slice can have, largest first: divisors of <see cref="Items"/>, so that all slices are alike, with at most so many rows (1
    /// always qualifies). A graph without a region has one size, 0.
    /// </summary>
    public IEnumerable<int> SliceSizes(int maxRows)
    {
        if (Items == 0)
        {
            return [0];
        }

        int rows = Region.Where(n => n.Shape.Rank == 3).Select(n => n.Shape[1]).DefaultIfEmpty(1).Max();
        return Enumerable.Range(1, Items).Where(s => Items % s == 0 && (s == 1 || s * rows <= maxRows)).OrderDescending();
    }
}
