using KernelAD.Evaluation.DataSets;
using KernelAD.Imaging;
using KernelAD.Preprocessing;
using KernelAD.Weights;

namespace KernelAD.Evaluation.Tests.DataSets;

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class MaskTests : IDisposable
{
    private readonly Workspace _files = new();

    public void Dispose() => _files.Dispose();

    [Test]
    public void Masks_are_resized_as_each_project_does(
        [Values(0, 1, 2, 3)] int number, [Values(MaskRule.Ader, MaskRule.NearestPillow, MaskRule.NearestTorch)] MaskRule rule)
    {
        using SafetensorsFile golden = SafetensorsFile.Open(Fixture.File("metrics/mask_resize/io.safetensors"));
        string result = rule switch
        {
            MaskRule.Ader => "ader",
            MaskRule.NearestPillow => "uniad",
            _ => "anomalib",
        };
        (byte[] source, int height, int width) = Read(golden, $"mask{number}_source");
        (byte[] expected, int size, _) = Read(golden, $"mask{number}_{result}");
        string file = SaveMask("mask.png", source, height, width);

        Mask mask = new MaskReader(Square(size), rule).Read(Anomalous(file), height, width);

        Assert.That((mask.Height, mask.Width, mask.Remark), Is.EqualTo((size, size, MaskRemark.None)));
        Assert.That(mask.Pixels, Is.EqualTo(expected.Select(v => v > 0 ? 1 : 0)));
    }

    [Test]
    public void Rules_differ()
    {
        using SafetensorsFile golden = SafetensorsFile.Open(Fixture.File("metrics/mask_resize/io.safetensors"));
        (byte[] source, int height, int width) = Read(golden, "mask3_source");
        string file = SaveMask("mask.png", source, height, width);
        byte[] pillow = new MaskReader(Square(64), MaskRule.NearestPillow).Read(Anomalous(file), height, width).Pixels;
        byte[] torch = new MaskReader(Square(64), MaskRule.NearestTorch).Read(Anomalous(file), height, width).Pixels;
        Assert.That(pillow.Zip(torch).Count(p => p.First != p.Second), Is.EqualTo(93), "the golden case's count");
    }

    [Test]
    public void A_small_defect_vanishes_under_the_default_rule_and_is_said_to()
    {
        byte[] marks = new byte[900 * 900];
        for (int y = 450; y < 453; y++)
        {
            marks.AsSpan((y * 900) + 450, 3).Fill(255);
        }

        string file = SaveMask("mask.png", marks, 900, 900);
        Assert.That(new MaskReader(Square(256)).Read(Anomalous(file), 900, 900).Remark, Is.EqualTo(MaskRemark.Vanished));
        Mask original = new MaskReader(Square(256), MaskRule.Original).Read(Anomalous(file), 900, 900);
        Assert.That((original.Remark, original.Height, original.Pixels.Count(v => v == 1)), Is.EqualTo((MaskRemark.None, 900, 9)));
    }

    [TestCase(0, MaskRemark.None)]
    [TestCase(126, MaskRemark.None)]
    [TestCase(127, MaskRemark.Empty)]
    public void Values_above_the_threshold_are_anomalous(int threshold, MaskRemark expected)
    {
        string file = SaveMask("mask.png", [.. Enumerable.Repeat((byte)127, 16 * 16)], 16, 16);
        Assert.That(new MaskReader(Square(16), threshold: threshold).Read(Anomalous(file), 16, 16).Remark, Is.EqualTo(expected));
    }

    [Test]
    public void A_mask_goes_through_the_same_crop_as_its_picture([Values(MaskRule.Ader, MaskRule.NearestPillow, MaskRule.NearestTorch)] MaskRule rule)
    {
        // 40 × 20 to 32 × 16, of which the middle 8 × 8 is shown, padded to 8 × 20 rows: columns 12 … 19 are source columns 15 … 24.
        byte[] marks = new byte[20 * 40];
        for (int y = 0; y < 20; y++)
        {
            marks.AsSpan((y * 40) + 20, 20).Fill(255);
        }

        PicturePreprocessing preprocessing = new(16, 32, null, Interpolation.Bicubic, 20, 8, [0, 0, 0], [1, 1, 1]);
        Mask mask = new MaskReader(preprocessing, rule).Read(Anomalous(SaveMask("mask.png", marks, 20, 40)), 20, 40);
        Assert.That((mask.Height, mask.Width), Is.EqualTo((20, 8)));
        for (int y = 0; y < 20; y++)
        {
            byte right = y is >= 2 and < 18 ? (byte)1 : (byte)0;
            Assert.That(mask.Pixels.AsSpan(y * 8, 8).ToArray(), Is.EqualTo((byte[])[0, 0, 0, 0, right, right, right, right]), $"row {y}");
        }
    }

    [Test]
    public void Good_pictures_have_an_empty_mask()
    {
        Sample good = Anomalous("nowhere.png") with { IsAnomalous = false };
        Mask mask = new MaskReader(Square(8)).Read(good, 30, 40);
        Assert.That((mask.Height, mask.Width, mask.Remark, mask.Pixels.Max()), Is.EqualTo((8, 8, MaskRemark.None, 0)));
        Assert.That(new MaskReader(Square(8), MaskRule.Original).Read(good, 30, 40).Pixels, Has.Length.EqualTo(1200));
    }

    [Test]
    public void Bad_masks_are_said_by_name()
    {
        string file = SaveMask("mask.png", new byte[12], 3, 4);
        MaskReader reader = new(Square(8));
        Assert.That(() => reader.Read(Anomalous(file), 4, 3), Throws.TypeOf<PictureException>().With.Message.Contains("mask.png").And.Message.Contains("4×3"));
        Assert.That(() => reader.Read(Anomalous(_files["none.png"]), 4, 3), Throws.TypeOf<PictureException>().With.Message.Contains("none.png"));
        Assert.That(() => reader.Read(Anomalous(file) with { MaskPath = null }, 4, 3), Throws.ArgumentException);
        PicturePreprocessing cropped = Square(8) with { CropWidth = 6 };
        Assert.That(() => new MaskReader(cropped, MaskRule.Original), Throws.TypeOf<ConfigurationException>());
    }

    private static PicturePreprocessing Square(int size) => new(size, size, null, Interpolation.Bicubic, size, size, [0, 0, 0], [1, 1, 1]);

    private static Sample Anomalous(string mask) => new("x.png", "x.png", SampleSplit.Test, IsAnomalous: true, "hole", mask);

    private static (byte[] Values, int Height, int Width) Read(SafetensorsFile file, string name)
    {
        SafetensorsEntry entry = file.Entries[name];
        byte[] values = new byte[entry.ByteCount];
        file.Read(name, values);
        return (values, entry.Shape[0], entry.Shape[1]);
    }

    private string SaveMask(string name, byte[] grey, int height, int width)
    {
        PictureFile.WritePng(_files[name], new PictureView(grey, width, height, PixelFormat.Gray8));
        return _files[name];
    }
}
