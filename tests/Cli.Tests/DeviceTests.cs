using System.Text.Json.Nodes;

namespace KernelAD.Cli.Tests;

/// <summary>Where a model runs: the emulated GPU gives what PyTorch gives, and a device that is not there is an error.</summary>
public sealed class DeviceTests
{
    [TestCase("emulated", "fp32")]
    [TestCase("emulated:sm_90", "tf32")]
    [TestCase("emulated:sm_75", "fp16")]
    public void A_model_reproduces_its_golden_case_on_an_emulated_gpu(string device, string precision)
    {
        CommandResult result = Kernelad.Run("verify", GoldenModel.VitAd, "--golden", Kernelad.Golden("vitad", "tiny"), "--device", device, "--precision", precision, "--json");
        Assert.That(result.Code, Is.Zero, result.Error);
        JsonObject verified = result.Json.Single();
        Assert.That((bool)verified["passed"]!);
        Assert.That((string)verified["device"]!, Does.Contain("emulator"));
        Assert.That((string)verified["precision"]!, Is.EqualTo(precision));
    }

    [Test]
    public void A_profile_counts_what_every_kernel_does()
    {
        CommandResult result = Kernelad.Run("profile", GoldenModel.VitAd, "--device", "emulated:sm_80", "--gpu", "orin", "--json");
        Assert.That(result.Code, Is.Zero, result.Error);
        JsonObject attention = result.Json.Single(k => ((string)k["kernel"]!).StartsWith("attention_fp32", StringComparison.Ordinal));
        Assert.That((int)attention["launches"]!, Is.EqualTo(9), "five blocks of the teacher and four of the student");
        Assert.That((string)attention["estimated_for"]!, Is.EqualTo("Jetson AGX Orin"));
        Assert.That((double)attention["estimated_seconds"]!, Is.Positive);
        Assert.That((double)attention["occupancy"]!, Is.GreaterThan(0).And.LessThanOrEqualTo(1));
        Assert.That((long)attention["counters"]!["smsp__inst_executed.sum"]!, Is.Positive);
        Assert.That(result.Json.Sum(k => (long?)k["counters"]!["l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum"] ?? 0), Is.Positive);
    }

    [Test]
    public void A_gpu_that_is_not_there_is_an_error_and_never_replaced()
    {
        CommandResult result = Kernelad.Run([("KERNELAD_LIBCUDA", "/nowhere/libcuda.so.1")], "bench", GoldenModel.VitAd, "--device", "cuda");
        Assert.That(result.Code, Is.EqualTo(4));
        Assert.That(result.ErrorLines.Single(), Does.Contain("KERNELAD_LIBCUDA").And.Contain("/nowhere/libcuda.so.1"));
        Assert.That(result.Output, Is.Empty);
    }

    [Test]
    public void An_architecture_that_cannot_be_emulated_is_wrong_usage()
    {
        CommandResult result = Kernelad.Run("info", GoldenModel.VitAd, "--device", "emulated:sm_42");
        Assert.That(result.Code, Is.EqualTo(2));
        Assert.That(result.ErrorLines[0], Does.Contain("sm_42").And.Contain("sm_80"));
    }
}
