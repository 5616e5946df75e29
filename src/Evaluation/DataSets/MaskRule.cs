namespace KernelAD.Evaluation.DataSets;

/// <summary>
/// How a mask of a picture's size becomes one of the map's size. The rules differ: of 1,024 pixels of a typical mask, the two "nearest" ones disagree about 30
/// to 90.
/// </summary>
public enum MaskRule
{
    /// <summary>
    /// As ADer: 0 or 255 by the threshold, resized like a picture with Pillow's antialiased bilinear filter, anomalous from 128 on. Keeps areas; small defects
    /// may vanish.
    /// </summary>
    Ader,

    /// <summary>As UniAD: Pillow's nearest, source index ⌊(i + ½) · in / out⌋.</summary>
    NearestPillow,

    /// <summary>As anomalib: PyTorch's nearest, source index ⌊i · in / out⌋.</summary>
    NearestTorch,

    /// <summary>The mask stays as it is, and the map is enlarged to it bilinearly.</summary>
    Original,
}

/// <summary>The names of <see cref="MaskRule"/> on command lines and in reports.</summary>
public static class MaskRules
{
    /// <summary>All names, in the order of the enumeration.</summary>
    public static IReadOnlyList<string> Names { get; } = ["ader", "nearest-pillow", "nearest-torch", "original"];

    /// <summary>A rule's name.</summary>
    public static string Name(this MaskRule rule) => Names[(int)rule];

    /// <summary>The rule of a name; null if there is none of that name.</summary>
    public static MaskRule? Parse(string name)
    {
        for (int i = 0; i < Names.Count; i++)
        {
            if (Names[i] == name)
            {
                return (MaskRule)i;
            }
        }

        return null;
    }
}
