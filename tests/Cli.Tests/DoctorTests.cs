using System.Text.Json.Nodes;

namespace KernelAD.Cli.Tests;

/// <summary>What <c>doctor</c> says about the CUDA driver; it never fails for want of one.</summary>
[TestFixture]
internal sealed class DoctorTests
{
    [TestCase("/nowhere/libcuda.so.1", "/nowhere/libcuda.so.1", "unset it")]
    [TestCase("text", "cannot be loaded", "correct the variable")]
    public void A_library_that_cannot_be_loaded_is_named(string library, params string[] words)
    {
        using Workspace files = new();
        if (library == "text")
        {
            library = files["libcuda.so.1"];
            File.WriteAllText(library, "This is not a library.");
        }

        JsonObject cuda = Cuda(("KERNELAD_LIBCUDA", library));
        Assert.That((string?)cuda["driver"], Is.Null);
        Assert.That((string)cuda["fault"]!, Does.Contain("KERNELAD_LIBCUDA").And.Contain(library));
        foreach (string word in words)
        {
            Assert.That((string)cuda["fault"]!, Does.Contain(word));
        }

        Assert.That(cuda["devices"]!.AsArray(), Is.Empty);
    }

    [Test]
    public void Devices_are_listed()
    {
        JsonObject cuda = Cuda(("KERNELAD_LIBCUDA", StubLibrary.File));
        Assert.That((string?)cuda["fault"], Is.Null);
        Assert.That((string)cuda["driver"]!, Is.EqualTo("12.4"));
        Assert.That(cuda["devices"]!.AsArray(), Has.Count.EqualTo(2));
        Assert.That(
            cuda["devices"]![1]!.ToJsonString(),
            Is.EqualTo("""{"ordinal":1,"name":"Stub Orin","compute_capability":"8.7","multiprocessors":16,"memory_bytes":17179869184,"shared_memory_per_block_bytes":166912}"""));
    }

    [Test]
    public void Devices_are_listed_for_people_too()
    {
        CommandResult result = Kernelad.Run([("KERNELAD_LIBCUDA", StubLibrary.File)], "doctor");
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(result.Output, Does.Contain("supports CUDA 12.4").And.Contain("Stub A100, compute capability 8.0, 108 multiprocessors, 17,179.9 MB"));
    }

    [TestCase("STUB_VERSION", "10020", "too old", "supports CUDA 10.2", "CUDA 11.0 is the least")]
    [TestCase("STUB_DEVICES", "0", "CUDA_ERROR_NO_DEVICE", "CUDA_VISIBLE_DEVICES")]
    [TestCase("STUB_FAIL", "cuInit:803", "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "restart the machine")]
    [TestCase("STUB_FAIL", "cuDeviceGetName:999", "cuDeviceGetName", "CUDA_ERROR_UNKNOWN")]
    public void A_driver_that_cannot_be_used_is_explained(string variable, string value, params string[] words)
    {
        JsonObject cuda = Cuda(("KERNELAD_LIBCUDA", StubLibrary.File), (variable, value));
        Assert.That((string?)cuda["driver"], Is.Null);
        foreach (string word in words)
        {
            Assert.That((string)cuda["fault"]!, Does.Contain(word));
        }
    }

    private static JsonObject Cuda(params (string, string?)[] environment)
    {
        CommandResult result = Kernelad.Run(environment, "doctor", "--json");
        Assert.That(result.Code, Is.Zero, result.Error);
        return result.Json.Single()["cuda"]!.AsObject();
    }
}
