using KernelAD.Evaluation.DataSets;

namespace KernelAD.Evaluation.Tests.DataSets;

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class DataSetTests : IDisposable
{
    private readonly Workspace _files = new();

    public void Dispose() => _files.Dispose();

    [Test]
    public void Mvtec_is_read_category_by_category_in_ordinal_order()
    {
        _files.Touch(
            "tile/train/good/1.png", "tile/train/good/0.PNG", "tile/test/good/0.png", "tile/test/crack/b.png", "tile/test/crack/a.JPG", "tile/test/crack/notes.txt",
            "tile/ground_truth/crack/a_mask.png", "tile/ground_truth/crack/b.bmp", "Wood/test/good/x.png", "license/readme.txt");

        DataSet set = DataSet.Open(_files.Folder);

        Assert.That(set.Layout, Is.EqualTo(DataSetLayout.Mvtec));
        Assert.That(set.Categories.Select(c => c.Name), Is.EqualTo((string[])["Wood", "tile"]));
        Category tile = set.Categories[1];
        Assert.That(tile.Train.Select(s => s.Name), Is.EqualTo((string[])["tile/train/good/0.PNG", "tile/train/good/1.png"]));
        Assert.That(tile.Test, Is.EqualTo((Sample[])
        [
            Expected("tile/test/crack/a.JPG", true, "crack", "tile/ground_truth/crack/a_mask.png"),
            Expected("tile/test/crack/b.png", true, "crack", "tile/ground_truth/crack/b.bmp"),
            Expected("tile/test/good/0.png", false, "good", null),
        ]));
        Assert.That(set.Problems, Is.Empty);
    }

    [Test]
    public void A_single_category_is_named_after_its_folder()
    {
        _files.Touch("bottle/test/good/0.png", "bottle/train/good/1.png");
        Assert.That(DataSet.Open(_files["bottle/"]).Categories.Single().Name, Is.EqualTo("bottle"));
    }

    [Test]
    public void Pictures_without_mask_and_masks_without_picture_are_said_by_name()
    {
        _files.Touch("train/good/0.png", "test/crack/a.png", "test/crack/b.png", "ground_truth/crack/b_mask.png", "ground_truth/crack/c_mask.png", "ground_truth/crack/b.png");
        DataSet set = DataSet.Open(_files.Folder);
        Assert.That(set.Categories[0].Test.Select(s => s.HasPixelTruth), Is.EqualTo((bool[])[false, true]));
        Assert.That(set.Problems, Has.Count.EqualTo(3));
        Assert.That(set.Problems, Has.Some.Contains("a.png: no mask"));
        Assert.That(set.Problems, Has.Some.Contains("c_mask.png: no picture belongs to this mask"));
        Assert.That(set.Problems, Has.Some.Contains("b_mask.png: no picture belongs to this mask"), "b.png, the exact name, is taken first");
    }

    [TestCase("train/good/rgb/0.png", "MVTec 3D-AD")]
    [TestCase("test_public/good/0.png", "MVTec AD 2")]
    [TestCase("test/logical_anomalies/0.png", "MVTec LOCO AD")]
    public void Relatives_of_mvtec_are_refused_by_name(string mark, string name)
    {
        _files.Touch("cat/train/good/0.png", $"cat/{mark}");
        Assert.That(() => DataSet.Open(_files.Folder), Throws.TypeOf<DataSetException>().With.Message.Contains(name).And.Message.Contains("cat"));
        Assert.That(() => DataSet.Open(_files.Folder, DataSetLayout.Mvtec), Throws.TypeOf<DataSetException>());
    }

    [Test]
    public void Btad_pairs_by_stem_whatever_the_extension()
    {
        _files.Touch("01/train/ok/0.bmp", "01/test/ok/1.bmp", "01/test/ko/2.bmp", "01/ground_truth/ko/2.png", "03/test/ko/4.png", "03/ground_truth/ko/4.bmp");
        DataSet set = DataSet.Open(_files.Folder);
        Assert.That(set.Layout, Is.EqualTo(DataSetLayout.Btad));
        Assert.That(set.Categories, Has.Count.EqualTo(1), "03 has neither train/ok nor test/ok");
        Assert.That(set.Categories[0].Test[0], Is.EqualTo(Expected("01/test/ko/2.bmp", true, "ko", "01/ground_truth/ko/2.png")));
        Assert.That(set.Categories[0].Test[1].IsAnomalous, Is.False);
    }

    [Test]
    public void Visa_follows_its_table_and_says_which_lines_are_wrong()
    {
        _files.Save("split_csv/1cls.csv",
            """
            object,split,label,image,mask
            candle,train,normal,candle/Data/Images/Normal/0.JPG,
            candle,test,normal,candle/Data/Images/Normal/1.JPG,
            candle,test,anomaly,candle/Data/Images/Anomaly/0.JPG,candle/Data/Masks/Anomaly/0.png
            candle,test,anomaly,candle/Data/Images/Anomaly/1.JPG,
            candle,test,odd,candle/Data/Images/Anomaly/2.JPG,
            candle,test
            candle,test,normal,../elsewhere.JPG,
            """);
        DataSet set = DataSet.Open(_files.Folder);
        Assert.That(set.Layout, Is.EqualTo(DataSetLayout.Visa));
        Category candle = set.Categories.Single();
        Assert.That(candle.Train.Select(s => s.Name), Is.EqualTo((string[])["candle/Data/Images/Normal/0.JPG"]));
        Assert.That(candle.Test[0], Is.EqualTo(Expected("candle/Data/Images/Anomaly/0.JPG", true, "anomaly", "candle/Data/Masks/Anomaly/0.png")));
        Assert.That(candle.Test, Has.Count.EqualTo(3));
        Assert.That(set.Problems, Has.Count.EqualTo(4));
        Assert.That(set.Problems[0], Does.Contain("line 5").And.Contain("no mask"));
        Assert.That(set.Problems[1], Does.Contain("line 6").And.Contain("odd"));
        Assert.That(set.Problems[2], Does.Contain("line 7").And.Contain("2 fields"));
        Assert.That(set.Problems[3], Does.Contain("../elsewhere.JPG").And.Contain("leads out"));
    }

    [Test]
    public void A_table_of_visa_can_be_named()
    {
        _files.Save("split_csv/1cls.csv", "object,split,label,image,mask\na,test,normal,a/0.JPG,\n");
        _files.Save("split_csv/2cls_highshot.csv", "object,split,label,image,mask\nb,test,normal,b/0.JPG,\n");
        DataSet set = DataSet.Open(_files["split_csv/2cls_highshot.csv"]);
        Assert.That(set.Categories.Single().Test.Single().PicturePath, Is.EqualTo(Path.Combine(set.Root, "b/0.JPG")));
    }

    [Test]
    public void A_table_without_the_columns_is_an_error()
    {
        _files.Save("split_csv/1cls.csv", "object,split,label,image\na,test,normal,a/0.JPG\n");
        Assert.That(() => DataSet.Open(_files.Folder), Throws.TypeOf<DataSetException>().With.Message.Contains("mask").And.Message.Contains("1cls.csv"));
    }

    [Test]
    public void Ader_reads_its_list()
    {
        _files.Save("meta.json",
            """
            {"train": {"tile": [{"img_path": "tile/train/good/0.png", "mask_path": "", "cls_name": "tile", "specie_name": "", "anomaly": 0}]},
             "test": {"tile": [{"img_path": "tile/test/crack/1.png", "mask_path": "tile/ground_truth/crack/1_mask.png", "cls_name": "tile", "specie_name": "crack", "anomaly": 1},
                               {"img_path": "tile/test/crack/2.png", "mask_path": "", "cls_name": "tile", "specie_name": "crack", "anomaly": 1}],
                      "wood": [{"img_path": "wood/test/good/0.png", "mask_path": "", "cls_name": "wood", "specie_name": "good", "anomaly": 0}]}}
            """);
        DataSet set = DataSet.Open(_files.Folder);
        Assert.That(set.Layout, Is.EqualTo(DataSetLayout.Ader));
        Assert.That(set.Categories.Select(c => (c.Name, c.Train.Count, c.Test.Count)), Is.EqualTo(new[] { ("tile", 1, 2), ("wood", 0, 1) }));
        Assert.That(set.Categories[0].Test[0], Is.EqualTo(Expected("tile/test/crack/1.png", true, "crack", "tile/ground_truth/crack/1_mask.png")));
        Assert.That(set.Categories[0].Train[0].Defect, Is.EqualTo("good"));
        Assert.That(set.Problems.Single(), Does.Contain("2.png").And.Contain("no mask"));
    }

    [TestCase("{")]
    [TestCase("[]")]
    [TestCase("""{"test": {"a": [{"anomaly": 0}]}}""")]
    [TestCase("""{"test": {"a": [{"img_path": "x.png", "anomaly": "yes"}]}}""")]
    [TestCase("""{"test": {"a": [{"img_path": null, "anomaly": 0}]}}""")]
    public void A_damaged_list_of_ader_is_an_error(string list)
    {
        _files.Save("meta.json", list);
        Assert.That(() => DataSet.Open(_files.Folder), Throws.TypeOf<DataSetException>().With.Message.Contains("meta.json"));
    }

    [Test]
    public void UniAD_lines_find_their_pictures_in_a_folder_beside_the_list()
    {
        _files.Touch("images/tile/test/crack/1.png");
        _files.Save("train.json", """{"filename": "tile/train/good/0.png", "label": 0, "label_name": "good", "clsname": "tile"}""" + "\n");
        _files.Save("test.json",
            """
            {"filename": "tile/test/crack/1.png", "label": 1, "label_name": "defective", "maskname": "tile/ground_truth/crack/1_mask.png", "clsname": "tile"}
            {"filename": "tile/test/crack/2.png", "label": 1, "label_name": "defective"}

            {"filename": 3}
            """);
        DataSet set = DataSet.Open(_files.Folder);
        Assert.That(set.Layout, Is.EqualTo(DataSetLayout.UniAd));
        Category tile = set.Categories.Single();
        Assert.That(tile.Train.Single().Name, Is.EqualTo("tile/train/good/0.png"), "its folder is that of the first picture of the same list");
        Assert.That(tile.Test[0], Is.EqualTo(Expected("images/tile/test/crack/1.png", true, "defective", "images/tile/ground_truth/crack/1_mask.png")));
        Assert.That(tile.Test[1].HasPixelTruth, Is.False, "never anomalous everywhere");
        Assert.That(set.Problems, Has.Count.EqualTo(2).And.Some.Contains("line 4"));
    }

    [Test]
    public void Folders_are_paired_with_masks_below_them_too()
    {
        _files.Touch("good/a.png", "good/deep/b.png", "bad/hole/0.png", "bad/1.png", "mask/hole/0.png", "mask/9.png");
        DataSet set = DataSet.Open(_files.Folder);
        Assert.That(set.Layout, Is.EqualTo(DataSetLayout.Folder));
        Category only = set.Categories.Single();
        Assert.That(only.Train.Select(s => s.Name), Is.EqualTo((string[])["good/a.png", "good/deep/b.png"]));
        Assert.That(only.Test.Select(s => (s.Name, s.IsAnomalous, s.MaskPath is not null)), Is.EqualTo(new[]
        {
            ("bad/1.png", true, false), ("bad/hole/0.png", true, true), ("good/a.png", false, false), ("good/deep/b.png", false, false),
        }));
        Assert.That(set.Problems, Has.Some.Contains("too good").And.Some.Contains("1.png: no mask").And.Some.Contains("9.png"));
    }

    [Test]
    public void Folders_can_be_named_and_must_exist()
    {
        _files.Touch("ok1/a.png", "ok2/b.png", "new/c.png", "scratch/d.png", "truth/d_mask.png");
        FolderNames names = new() { Normal = ["ok1", "ok2"], NormalTest = ["new"], Abnormal = ["scratch"], Masks = ["truth"] };
        DataSet set = DataSet.Open(_files.Folder, folders: names);
        Assert.That((set.Categories[0].Train.Count, set.Categories[0].Test.Count, set.Problems.Count), Is.EqualTo((2, 2, 0)));
        Assert.That(
            () => DataSet.Open(_files.Folder, folders: names with { Abnormal = ["dent"] }),
            Throws.TypeOf<DataSetException>().With.Message.Contains("dent"));
    }

    [Test]
    public void A_layout_can_be_forced()
    {
        _files.Touch("train/good/0.png", "good/1.png");
        Assert.That(DataSet.Open(_files.Folder, DataSetLayout.Folder).Categories[0].Test.Single().Name, Is.EqualTo("good/1.png"));
    }

    [Test]
    public void Nothing_to_read_is_an_error()
    {
        Directory.CreateDirectory(_files["empty/train/good"]);
        Assert.That(() => DataSet.Open(_files["empty"]), Throws.TypeOf<DataSetException>().With.Message.Contains("no pictures"));
        Assert.That(() => DataSet.Open(_files.Folder, DataSetLayout.Btad), Throws.TypeOf<DataSetException>().With.Message.Contains("btad"));
        Assert.That(() => DataSet.Open(_files["nowhere"]), Throws.TypeOf<DataSetException>().With.Message.Contains("nowhere"));
        Assert.That(() => DataSet.Open(_files.Folder, DataSetLayout.Visa), Throws.TypeOf<DataSetException>().With.Message.Contains("1cls.csv"));
        _files.Touch("unknown/readme.txt", "list.txt");
        Assert.That(() => DataSet.Open(_files["unknown"]), Throws.TypeOf<DataSetException>().With.Message.Contains("--layout"));
        Assert.That(() => DataSet.Open(_files["list.txt"]), Throws.TypeOf<DataSetException>().With.Message.Contains("list.txt"));
    }

    [Test]
    public void Links_out_of_the_root_are_not_followed_and_said()
    {
        using Workspace outside = new();
        outside.Touch("secret.png", "folder/x.png");
        _files.Touch("set/train/good/0.png", "set/test/good/1.png");
        File.CreateSymbolicLink(_files["set/test/good/2.png"], outside["secret.png"]);
        File.CreateSymbolicLink(_files["set/test/good/3.png"], _files["set/test/good/1.png"]);
        Directory.CreateSymbolicLink(_files["set/test/crack"], outside["folder"]);
        Directory.CreateSymbolicLink(_files["set/inner"], "test/../../set");
        File.CreateSymbolicLink(_files["set/test/good/4.png"], "../../inner/../../outside.png");

        DataSet set = DataSet.Open(_files["set"]);

        Assert.That(set.Categories[0].Test.Select(s => s.Name), Is.EqualTo((string[])["test/good/1.png", "test/good/3.png"]));
        Assert.That(set.Problems, Has.Count.EqualTo(3).And.All.Contains("leads out"));

        _files.Save("set/meta.json", """{"test": {"a": [{"img_path": "test/crack/x.png", "anomaly": 0}, {"img_path": "inner/test/good/1.png", "anomaly": 0}]}}""");
        Assert.That(DataSet.Open(_files["set"]).Categories[0].Test.Select(s => s.Name), Is.EqualTo((string[])["inner/test/good/1.png"]));
    }

    [Test]
    public void Links_in_a_circle_are_an_error_not_a_hang()
    {
        Directory.CreateDirectory(_files["set/train"]);
        File.CreateSymbolicLink(_files["a"], _files["b"]);
        File.CreateSymbolicLink(_files["b"], _files["a"]);
        Assert.That(() => RealPath.Of(_files["a"]), Throws.TypeOf<IOException>());
    }

    private Sample Expected(string name, bool anomalous, string defect, string? mask) =>
        new(name, _files[name], SampleSplit.Test, anomalous, defect, mask is null ? null : _files[mask]);
}
