using System.Text.Json.Nodes;

namespace KernelAD.WeightsConverter.Tests;

/// <summary>VT-ADL's two files: what fits together, and what does not.</summary>
public class VtAdlLayoutTests
{
    [Test]
    public void Both_forms_of_the_likelihood_are_named_in_the_file()
    {
        using Workspace w = new();
        JsonObject told = TinyModels.VtAdlTold;
        ConversionReport report = CheckpointConverter.Convert(Files(w), w.Output, new ConversionOptions { Told = told });
        Assert.That(report.Assumed.Select(n => $"{n.Key}={n.Value}"), Does.Contain("nll=\"weighted_sum\""));
        told["nll"] = "log_sum_exp";
        CheckpointConverter.Convert(Files(w), w.Output, new ConversionOptions { Told = told });
        using Weights.ModelFile file = Weights.ModelFile.Open(w.Output);
        Assert.That((string)file.Model.Config["nll"]!, Is.EqualTo("log_sum_exp"));
        Assert.That(file.Notes.Single(n => n.Key == "nll").Kind, Is.EqualTo(Weights.NoteKind.Told));
        told["nll"] = "mean";
        File.Delete(w.Output);
        Assert.That(w.Fails(Files(w), told).Message, Does.Contain("\"nll\"").And.Contain("log_sum_exp"));
    }

    [Test]
    public void One_of_the_two_files_is_not_enough()
    {
        using Workspace w = new();
        string[] files = Files(w);
        Assert.That(w.Fails(files[..1]).Message, Does.Contain("mixture network is missing").And.Contain("G_estimate").And.Contain("autoencoder.pt"));
        Assert.That(w.Fails(files[1..]).Message, Does.Contain("mixture.pt").And.Contain("autoencoder is a file of its own"));
        Assert.That(w.Fails([files[0], files[0]]).Message, Does.Contain("already"));
        Assert.That(w.Fails([files[1], files[1]]).Message, Does.Contain("mixture network"));
        Assert.That(w.Fails([.. files, files[1]]).Message, Does.Contain("one file too many"));
    }

    [Test]
    public void Wrong_second_file_is_called_what_it_is()
    {
        using Workspace w = new();
        string autoencoder = Files(w)[0];
        Assert.That(
            w.Fails([autoencoder, w.Save(TinyModels.Utrad().Backbone.File.Zip(), "backbone.pth")]).Message,
            Does.Contain("backbone.pth").And.Contain("expected VT-ADL's mixture network").And.Contain("ResNet"));
        TorchFile tensor = new();
        tensor.Root = tensor.Float([1, 2], 2);
        Assert.That(w.Fails([autoencoder, w.Save(tensor.Zip(), "tensor.pt")]).Message, Does.Contain("tensor.pt").And.Contain("a single tensor of shape (2)"));
        Assert.That(w.Fails([autoencoder, w.Save(TinyModels.InTra().File.Zip(), "intra.pth")]).Message, Does.Contain("one model at a time"));
    }

    [TestCase("pi.weight", new[] { 3, 5 }, "(3, 5), expected (3, 4)")]
    [TestCase("mu.weight", new[] { 11, 4 }, "(11, 4), expected (12, 4)")]
    [TestCase("sigma_sq.weight", new[] { 12, 3 }, "(12, 3), expected (12, 4)")]
    public void Mixture_that_does_not_fit_the_autoencoder(string tensor, int[] shape, string message)
    {
        using Workspace w = new();
        (TinyFile autoencoder, TinyFile mixture) = TinyModels.VtAdl();
        mixture.Tensors[tensor] = Zeros(mixture.File, shape);
        Assert.That(
            w.Fails([w.Save(autoencoder.File.Zip(), "a.pt"), w.Save(mixture.File.Zip(), "m.pt")], TinyModels.VtAdlTold).Message,
            Does.Contain($"\"{tensor}\" has shape {message}").And.Contain("a.pt").And.Contain("m.pt"));
    }

    [Test]
    public void Mixture_of_no_Gaussians()
    {
        using Workspace w = new();
        (TinyFile autoencoder, TinyFile mixture) = TinyModels.VtAdl();
        foreach (string key in mixture.Tensors.Keys)
        {
            mixture.Tensors[key] = Zeros(mixture.File, 0, 4);
        }

        Assert.That(
            w.Fails([w.Save(autoencoder.File.Zip(), "a.pt"), w.Save(mixture.File.Zip(), "m.pt")], TinyModels.VtAdlTold).Message,
            Does.Contain("m.pt").And.Contain("\"pi.weight\" has shape (0, 4)").And.Contain("no Gaussians"));
    }

    [TestCase("vt.pos_embedding", new[] { 1, 16, 4 }, "16 rows, expected one for the class token and the square")]
    [TestCase("vt.patch_to_embedding.weight", new[] { 4, 1588 }, "1588 columns, expected 3·p²")]
    [TestCase("Digcap.W", new[] { 1, 31, 2, 2 }, "(1, 31, 2, 2), expected (1, capsules, outputs, d) with capsules · d = 64")]
    [TestCase("Digcap.W", new[] { 1, 32, 2, 0 }, "(1, 32, 2, 0)")]
    [TestCase("Digcap.W", new[] { 1, 32, 3, 2 }, "3 outputs, which are no square of the 2 channels of \"decoder.decoder2.0.weight\" (2, 16, 3, 3)")]
    [TestCase("Digcap.W", new[] { 1, 32, 8, 2 }, "\"latent_h\" is 2, which the decoder makes a picture of 152 pixels, expected image_size = 92")]
    [TestCase("decoder.decoder2.3.weight", new[] { 16, 32, 3, 3 }, "wrong shape: \"decoder.decoder2.3.weight\" (16, 32, 3, 3) instead of (16, 32, 9, 9)")]
    [TestCase("vt.cls_token", new[] { 4 }, "wrong shape: \"vt.cls_token\" (4) instead of (1, 1, 4)")]
    public void Sizes_that_do_not_multiply_out(string tensor, int[] shape, string message)
    {
        using Workspace w = new();
        (TinyFile autoencoder, TinyFile mixture) = TinyModels.VtAdl();
        autoencoder.Tensors[tensor] = Zeros(autoencoder.File, shape);
        Assert.That(
            w.Fails([w.Save(autoencoder.File.Zip(), "a.pt"), w.Save(mixture.File.Zip(), "m.pt")], TinyModels.VtAdlTold).Message,
            Does.Contain("a.pt").And.Contain(message));
    }

    [Test]
    public void Every_tensor_is_missed_and_measured([Values] StrangeShape kind)
    {
        using Workspace w = new();
        (TinyFile autoencoder, TinyFile mixture) = TinyModels.VtAdl();
        Strange.CheckEvery(w, TinyModels.VtAdlTold, kind, autoencoder, mixture);
    }

    private static string[] Files(Workspace w)
    {
        (TinyFile autoencoder, TinyFile mixture) = TinyModels.VtAdl();
        return [w.Save(autoencoder.File.Zip(), "autoencoder.pt"), w.Save(mixture.File.Legacy(), "mixture.pt")];
    }

    private static View Zeros(TorchFile file, params int[] shape) =>
        file.Float(new float[shape.Aggregate(1, (a, b) => a * b)], [.. shape.Select(e => (long)e)]);
}
