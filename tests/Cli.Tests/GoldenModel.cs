namespace KernelAD.Cli.Tests;

/// <summary>Model files that the command itself converted from tiny golden checkpoints, once for all tests.</summary>
internal static class GoldenModel
{
    private static readonly Lazy<Workspace> Shared = new(() => new Workspace());

    private static readonly Lazy<string> LazyInTra = new(() => Convert("intra", "tiny_jhy12"));

    private static readonly Lazy<string> LazyVitAd = new(() => Convert("vitad", "tiny"));

    private static readonly Lazy<string> LazyVtAdl = new(() => Convert("vtadl", "tiny", "weights_mdn.pth"));

    private static readonly Lazy<string> LazyUtrad = new(() => Convert("utrad", "tiny", "backbone.pth"));

    private static readonly Lazy<string> LazyUniAd = new(() => Convert("uniad", "tiny"));

    private static readonly Lazy<string> LazyAdtr = new(() => Convert("adtr", "tiny"));

    public static string InTra => LazyInTra.Value;

    public static string VitAd => LazyVitAd.Value;

    public static string VtAdl => LazyVtAdl.Value;

    public static string Utrad => LazyUtrad.Value;

    public static string UniAd => LazyUniAd.Value;

    public static string Adtr => LazyAdtr.Value;

    public static void Delete()
    {
        if (Shared.IsValueCreated)
        {
            Shared.Value.Dispose();
        }
    }

    private static string Convert(string model, string name, params string[] further)
    {
        string output = Shared.Value[$"{model}.safetensors"];
        CommandResult result = Kernelad.Run(
        [
            "convert", Kernelad.Golden(model, name, "weights.pth"), .. further.Select(f => Kernelad.Golden(model, name, f)),
            "-o", output, "--config", Kernelad.Golden(model, name, "case.json"),
        ]);
        Assert.That(result.Code, Is.Zero, result.Error);
        return output;
    }
}

/// <summary>Deletes the shared models after the last test.</summary>
[SetUpFixture]
[FixtureLifeCycle(LifeCycle.SingleInstance)]
public class SharedModels
{
    [OneTimeTearDown]
    public void Delete() => GoldenModel.Delete();
}
