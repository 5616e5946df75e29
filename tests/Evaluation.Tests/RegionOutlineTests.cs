using System.Globalization;
using System.Text.RegularExpressions;
using KernelAD.Evaluation.DataSets;
using KernelAD.Preprocessing;

namespace KernelAD.Evaluation.Tests;

public sealed partial class RegionOutlineTests
{
    [Test]
    public void A_rectangle_has_four_corners()
    {
        byte[] pixels = new byte[5 * 4];
        foreach (int i in (int[])[6, 7, 11, 12])
        {
            pixels[i] = 1;
        }

        Assert.That(RegionOutline.Trace(new Mask(4, 5, pixels, MaskRemark.None), new PictureRegion(0, 0, 4, 5)), Is.EqualTo("M1 1L3 1L3 3L1 3Z"));
    }

    [Test]
    public void Outlines_lie_in_the_part_of_the_picture_that_the_mask_covers()
    {
        Mask mask = new(2, 2, [1, 1, 1, 1], MaskRemark.None);
        Assert.That(RegionOutline.Trace(mask, new PictureRegion(Top: 10, Left: 20, Height: 30, Width: 40)), Is.EqualTo("M20 10L60 10L60 40L20 40Z"));
    }

    [Test]
    public void Pixels_that_touch_at_a_corner_share_an_outline()
    {
        Mask mask = new(2, 2, [1, 0, 0, 1], MaskRemark.None);
        Assert.That(RegionOutline.Trace(mask, new PictureRegion(0, 0, 2, 2)).Count(c => c == 'M'), Is.EqualTo(1));
    }

    [Test]
    public void Outlines_enclose_exactly_the_anomalous_pixels([Range(1, 20)] int seed)
    {
        Random random = new(seed);
        (int height, int width) = (random.Next(1, 20), random.Next(1, 20));
        byte[] pixels = [.. Enumerable.Range(0, height * width).Select(_ => (byte)random.Next(2))];
        string path = RegionOutline.Trace(new Mask(height, width, pixels, MaskRemark.None), new PictureRegion(0, 0, height, width));

        // The sum over all outlines, holes counting negative: they are gone round the other way.
        double area = path.Split('Z', StringSplitOptions.RemoveEmptyEntries).Sum(Area);
        Assert.That(area, Is.EqualTo(pixels.Sum(p => p)).Within(1e-9));
    }

    /// <summary>Gauss's area formula.</summary>
    private static double Area(string outline)
    {
        (double X, double Y)[] corners = [.. Corner().Matches(outline).Select(m => (Number(m.Groups[1]), Number(m.Groups[2])))];
        return corners.Select((c, i) => (c.X * corners[(i + 1) % corners.Length].Y) - (corners[(i + 1) % corners.Length].X * c.Y)).Sum() / 2;
    }

    private static double Number(Group group) => double.Parse(group.ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"[ML](\S+) ([^LZ]+)")]
    private static partial Regex Corner();
}
