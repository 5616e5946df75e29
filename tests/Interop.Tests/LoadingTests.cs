namespace KernelAD.Interop.Tests;

/// <summary>Finding the driver, and saying why there is none. Most of it needs no driver, not even a stub.</summary>
[TestFixture]
internal sealed class LoadingTests
{
    private const string Variable = "KERNELAD_LIBCUDA";

    private string? _before;

    [SetUp]
    public void Unset()
    {
        _before = Environment.GetEnvironmentVariable(Variable);
        Environment.SetEnvironmentVariable(Variable, null);
    }

    [TearDown]
    public void Restore() => Environment.SetEnvironmentVariable(Variable, _before);

    [Test]
    public void Without_a_library_the_places_are_named()
    {
        Assert.That(
            () => CudaDriver.Load(["libnot-a-driver.so.1", "/nowhere/libcuda.so.1"]),
            Throws.TypeOf<CudaNotAvailableException>().With.Message.EqualTo(
                "No NVIDIA driver: none of libnot-a-driver.so.1, /nowhere/libcuda.so.1 can be loaded. Install the NVIDIA driver, for CUDA 11.0 or newer."));
    }

    [Test]
    public void The_usual_places_are_searched_in_order()
    {
        Assert.That(CudaLibrary.Candidates, OperatingSystem.IsWindows()
            ? Is.EqualTo((string[])["nvcuda.dll"])
            : Is.EqualTo((string[])
            [
                "libcuda.so.1", "libcuda.so", "/usr/lib/aarch64-linux-gnu/tegra/libcuda.so.1", "/usr/lib/aarch64-linux-gnu/nvidia/libcuda.so.1",
                "/usr/lib/wsl/lib/libcuda.so.1",
            ]));
    }

    [Test]
    public void A_later_place_is_used_where_an_earlier_one_has_nothing()
    {
        Stub stub = new();
        Assert.That(CudaDriver.Load(["/nowhere/libcuda.so.1", StubLibrary.File]).Devices, Has.Count.EqualTo(2));
        stub.AssertClean();
    }

    [Test]
    public void The_variable_comes_before_every_place()
    {
        Stub stub = new();
        Environment.SetEnvironmentVariable(Variable, StubLibrary.File);
        Assert.That(CudaDriver.Load().Devices, Has.Count.EqualTo(2));
        Environment.SetEnvironmentVariable(Variable, "/nowhere/libcuda.so.1");
        Assert.That(() => CudaDriver.Load([StubLibrary.File]), Throws.TypeOf<CudaNotAvailableException>(), "a named file is not silently replaced by another");
        stub.AssertClean();
    }

    [Test]
    public void A_named_file_that_is_missing_is_named()
    {
        Environment.SetEnvironmentVariable(Variable, "/nowhere/libcuda.so.1");
        Assert.That(CudaDriver.Load, Throws.TypeOf<CudaNotAvailableException>().With.Message.Contains(Variable).And.Message.Contains("'/nowhere/libcuda.so.1'"));
    }

    [Test]
    public void A_named_file_that_is_no_library_is_named()
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, "This is not a library.");
            Environment.SetEnvironmentVariable(Variable, file);
            Assert.That(CudaDriver.Load, Throws.TypeOf<CudaNotAvailableException>().With.Message.Contains(Variable).And.Message.Contains(file));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Test]
    public void A_library_that_is_no_driver_is_told_by_what_it_lacks()
    {
        string library = OperatingSystem.IsWindows() ? "kernel32.dll" : OperatingSystem.IsMacOS() ? "libSystem.dylib" : "libc.so.6";
        Assert.That(
            () => CudaDriver.Load([library]),
            Throws.TypeOf<CudaNotAvailableException>().With.Message.Contains($"{library} has no function cuDriverGetVersion: it is not an NVIDIA driver"));
    }

    [TestCase(10020, "10.2")]
    [TestCase(9010, "9.1")]
    public void A_driver_that_is_too_old_says_found_and_needed(int version, string found)
    {
        Stub stub = new();
        stub.SetVersion(version);
        CudaNotAvailableException e = Assert.Throws<CudaNotAvailableException>(() => CudaDriver.Load([StubLibrary.File]))!;
        Assert.That(e.Message, Does.Contain("too old").And.Contain($"supports CUDA {found}").And.Contain("CUDA 11.0 is the least").And.Contain("Update the NVIDIA driver"));
        Assert.That(stub.Calls, Has.None.EqualTo("cuInit"), "it is not started");
    }

    [TestCase(11000)]
    [TestCase(13020)]
    public void The_least_version_and_any_newer_one_will_do(int version)
    {
        new Stub().SetVersion(version);
        Assert.That(CudaDriver.Load([StubLibrary.File]).Version, Is.EqualTo(new Version(version / 1000, version % 1000 / 10)));
    }

    [TestCase(100, "CUDA_ERROR_NO_DEVICE", "CUDA_VISIBLE_DEVICES")]
    [TestCase(803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "restart the machine")]
    [TestCase(34, "(34)", "toolkit's library for linking")]
    [TestCase(999, "CUDA_ERROR_UNKNOWN", "nvidia-smi")]
    public void A_driver_that_does_not_start_says_why_and_what_to_do(int code, string name, string advice)
    {
        Stub stub = new();
        stub.Fail("cuInit", code);
        CudaNotAvailableException e = Assert.Throws<CudaNotAvailableException>(() => CudaDriver.Load([StubLibrary.File]))!;
        Assert.That(e.Message, Does.StartWith("cuInit failed with").And.Contain(name).And.Contain(advice));
        Assert.That(e.Error!.Value.Code, Is.EqualTo(code));

        stub.Fail("cuDriverGetVersion", code);
        Assert.That(() => CudaDriver.Load([StubLibrary.File]), Throws.TypeOf<CudaNotAvailableException>().With.Message.Contains(advice));
    }

    [Test]
    public void A_driver_without_devices_is_not_available()
    {
        Stub stub = new();
        stub.SetDevices(0);
        Assert.That(() => CudaDriver.Load([StubLibrary.File]), Throws.TypeOf<CudaNotAvailableException>().With.Message.Contains("CUDA_ERROR_NO_DEVICE"));
    }
}
