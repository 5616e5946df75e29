using KernelAD.Evaluation.Metrics;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Evaluation.Tests.Metrics;

public sealed class BadInputTests
{
    private readonly string _file = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());

    [TearDown]
    public void Delete() => File.Delete(_file);

    [Test]
    public void A_map_with_NaN_is_rejected_by_name_and_counts_for_nothing()
    {
        RandomSet set = RandomSet.Create(seed: 1);
        MetricsCollector collector = new();
        float[] map = [.. set.Maps[1]];
        map[(3 * set.Width) + 2] = float.NaN;
        Assert.That(
            () => collector.AddPixels("part 7", map, set.Masks[1], set.Height, set.Width),
            Throws.TypeOf<TensorException>().With.Message.Contains("part 7").And.Message.Contains("row 3, column 2"));
        collector.AddPixels("part 8", set.Maps[1], set.Masks[1], set.Height, set.Width);
        MetricsCollector clean = new();
        clean.AddPixels("part 8", set.Maps[1], set.Masks[1], set.Height, set.Width);
        Assert.That(collector.Compute()["pixel_auroc"], Is.EqualTo(clean.Compute()["pixel_auroc"]));
    }

    [Test]
    public void A_score_that_is_NaN_is_rejected_by_name() =>
        Assert.That(() => new MetricsCollector().AddImage("part 7", true, float.NaN), Throws.TypeOf<TensorException>().With.Message.Contains("part 7"));

    [Test]
    public void A_mask_of_another_size_is_rejected() =>
        Assert.That(() => new MetricsCollector().AddPixels("a", new float[6], new byte[5], 2, 3), Throws.InstanceOf<ArgumentException>());

    [Test]
    public void Nothing_at_all_gives_reasons([Values] MetricVariant variant)
    {
        MetricsResult result = new MetricsCollector(variant).Compute();
        Assert.That(result.Values.Where(v => v.Name.EndsWith("auroc", StringComparison.OrdinalIgnoreCase)).Select(v => v.Value.Reason), Is.All.Not.Null);
        Assert.That(result.ImageCurves.Roc, Is.Empty);
    }

    [Test]
    public void Metrics_are_computed_once()
    {
        MetricsCollector collector = new();
        collector.Compute();
        Assert.That(() => collector.AddImage("a", true, 1), Throws.InvalidOperationException);
        Assert.That(() => collector.Compute(), Throws.InvalidOperationException);
    }

    [Test]
    public void A_file_without_any_of_the_tensors_says_what_it_holds()
    {
        Write(("weights", new Tensor(new Shape(2))));
        Assert.That(() => MetricsFile.Open(_file), Throws.TypeOf<BadInputException>().With.Message.Contains("weights").And.Message.Contains("maps"));
    }

    [Test]
    public void Half_a_pair_is_named()
    {
        Write(("scores", new Tensor(new Shape(2))));
        Assert.That(() => MetricsFile.Open(_file), Throws.TypeOf<BadInputException>().With.Message.Contains("\"labels\""));
    }

    [Test]
    public void Shapes_that_do_not_fit_are_named()
    {
        Write(("scores", new Tensor(new Shape(2))), ("labels", new Tensor(new Shape(3))));
        Assert.That(() => MetricsFile.Open(_file), Throws.TypeOf<BadInputException>().With.Message.Contains("\"labels\"").And.Message.Contains("(3)").And.Message.Contains("(2)"));
    }

    [Test]
    public void Masks_of_several_bytes_a_pixel_are_named()
    {
        Write(("maps", new Tensor(new Shape(2, 3, 3))), ("masks", new Tensor(new Shape(2, 3, 3))));
        Assert.That(() => MetricsFile.Open(_file), Throws.TypeOf<BadInputException>().With.Message.Contains("\"masks\"").And.Message.Contains("F32"));
    }

    [Test]
    public void A_label_that_is_neither_is_named()
    {
        Write(("scores", new Tensor(new Shape(2))), ("labels", new Tensor(new Shape(2), [0, 2])));
        using MetricsFile file = MetricsFile.Open(_file);
        Assert.That(() => file.Compute(MetricVariant.Default), Throws.TypeOf<BadInputException>().With.Message.Contains("image 1"));
    }

    [Test]
    public void Scores_alone_give_the_image_metrics()
    {
        Write(("scores", new Tensor(new Shape(2), [1, 2])), ("labels", new Tensor(new Shape(2), [0, 1])));
        using MetricsFile file = MetricsFile.Open(_file);
        MetricsResult result = file.Compute(MetricVariant.Default);
        Assert.That(result["image_auroc"].Value, Is.EqualTo(1));
        Assert.That(result["pixel_auroc"].IsDefined, Is.False);
    }

    private void Write(params (string Name, Tensor Tensor)[] tensors) =>
        SafetensorsWriter.Write(_file, [.. tensors.Select(t => TensorSource.Of(t.Name, t.Tensor))], new Dictionary<string, string>());
}
