using System.Reflection;

namespace KernelAD.Interop.Tests;

/// <summary>The binding against a driver that checks every argument: signatures, numbers, current contexts, order of release.</summary>
[TestFixture]
internal sealed class CudaDriverTests
{
    // CUresult values as published in cuda.h, written out so that the product's own table is under test.
    private const int OutOfMemory = 2, NoBinary = 209, InvalidPtx = 218, NoJit = 221, PtxVersion = 222, NotFound = 500, IllegalAddress = 700, Unknown = 999;

    // What frees reports by its return value, because a finaliser cannot throw.
    private static readonly string[] Silent =
    [
        "cuDevicePrimaryCtxRelease_v2", "cuCtxPushCurrent_v2", "cuCtxPopCurrent_v2", "cuMemFree_v2", "cuMemFreeHost", "cuStreamDestroy_v2", "cuEventDestroy_v2",
        "cuModuleUnload", "cuGraphDestroy", "cuGraphExecDestroy",
    ];

    private Stub _stub = null!;

    [SetUp]
    public void Start() => _stub = new Stub();

    [TearDown]
    public void Everything_is_freed() => _stub?.AssertClean("after the test");

    [Test]
    public void Work_gets_its_arguments_to_the_driver_unharmed()
    {
        Assert.That(DeviceWork.Run(StubLibrary.File), Is.EqualTo((float[])[13.5f, 14.5f, 15.5f]));
        Assert.That(_stub.LastLaunch, Is.EqualTo((uint[])[1, 2, 3, 4, 5, 6, 100_000]));

        IEnumerable<string> bound = typeof(LibCuda).GetFields(BindingFlags.Instance | BindingFlags.NonPublic).Select(f => f.Name)
            .Where(n => n.StartsWith("cu", StringComparison.Ordinal) && !n.StartsWith("cuGetError", StringComparison.Ordinal));
        Assert.That(_stub.Calls.Distinct(), Is.EquivalentTo(bound), "every entry point is called, and so checked");
    }

    [Test]
    public void Devices_are_described()
    {
        CudaDriver driver = CudaDriver.Load([StubLibrary.File]);
        Assert.That(driver.Version, Is.EqualTo(new Version(12, 4)));
        Assert.That(driver.Devices, Is.EqualTo((CudaDevice[])
        [
            new(0, "Stub A100", 8, 0, 108, 16L << 30, 166912, 65536),
            new(1, "Stub Orin", 8, 7, 16, 16L << 30, 166912, 65536),
        ]));
        Assert.That(driver.Devices[1].Architecture, Is.EqualTo("sm_87"));
    }

    [TestCase(Unknown)]
    [TestCase(OutOfMemory)]
    [TestCase(IllegalAddress)]
    public void Each_call_that_fails_is_reported_and_leaves_nothing_behind(int code)
    {
        DeviceWork.Run(StubLibrary.File);
        string[] calls = _stub.Calls;
        Assert.That(calls, Has.Length.GreaterThan(50));
        for (int i = 0; i < calls.Length; i++)
        {
            _stub = new Stub();
            _stub.FailAt(i + 1, code);
            string situation = $"with call {i + 1}, {calls[i]}, failing";
            CudaException? thrown = null;
            try
            {
                DeviceWork.Run(StubLibrary.File);
            }
            catch (CudaException e)
            {
                thrown = e;
            }

            _stub.AssertClean(situation);
            if (Silent.Contains(calls[i]))
            {
                Assert.That(thrown, Is.Null, situation);
                continue;
            }

            Assert.That(thrown, Is.Not.Null, situation);
            Assert.That(thrown, Is.TypeOf(ErrorType(calls[i], code)), situation);
            Assert.That(thrown!.Error!.Value.Call, Is.EqualTo(calls[i]));
            Assert.That(thrown.Error.Value.Code, Is.EqualTo(code));
            Assert.That(thrown.Message, Does.StartWith($"{calls[i]} failed with {thrown.Error.Value.Name} ({code}): {thrown.Error.Value.Text}."));
            Assert.That(thrown.IsContextLost, Is.EqualTo(code == IllegalAddress));
        }

        _stub = new Stub();
        Assert.That(DeviceWork.Run(StubLibrary.File), Is.EqualTo((float[])[13.5f, 14.5f, 15.5f]), "after all those failures");
    }

    [Test]
    public void A_failure_leaves_what_was_there_before_usable()
    {
        CudaDriver driver = CudaDriver.Load([StubLibrary.File]);
        using CudaContext context = driver.RetainPrimaryContext(0);
        using CudaModule module = driver.LoadModule(context, "test", DeviceWork.Ptx);
        CudaFunction add = driver.GetFunction(module, "add");
        using CudaStream stream = driver.CreateStream(context);
        using DeviceMemory memory = driver.AllocateDevice(context, 12);
        driver.Fill(memory.Address, 0, 12, stream);
        driver.AllowDynamicSharedMemory(add, 100_000);

        _stub.Fail("cuLaunchKernel", Unknown);
        CudaException e = Assert.Throws<CudaException>(() => DeviceWork.Add(driver, add, stream, memory.Address, 1))!;
        Assert.That(e.Message, Does.Contain("CUDA_ERROR_UNKNOWN").And.Contain("kernel 'add'").And.Contain("100000 bytes of shared memory"));
        _stub.Fail("cuStreamEndCapture", Unknown);
        driver.BeginCapture(stream);
        Assert.Throws<CudaException>(() => driver.EndCapture(stream));

        _stub.Fail("", 0);
        DeviceWork.Add(driver, add, stream, memory.Address, 2);
        float[] result = new float[3];
        unsafe
        {
            fixed (float* host = result)
            {
                driver.CopyToHost((nint)host, memory.Address, 12, stream);
            }
        }

        driver.Synchronize(stream);
        Assert.That(result, Is.EqualTo((float[])[2, 2, 2]));
    }

    [Test]
    public void A_code_without_a_name_is_reported_by_its_number()
    {
        CudaDriver driver = CudaDriver.Load([StubLibrary.File]);
        _stub.Fail("cuDevicePrimaryCtxRetain", 4711);
        Assert.That(
            () => driver.RetainPrimaryContext(0),
            Throws.TypeOf<CudaException>().With.Message.EqualTo("cuDevicePrimaryCtxRetain failed with an unknown error (4711): the driver has no text for it."));
    }

    [Test]
    public void Memory_that_is_not_there_is_told_in_figures()
    {
        CudaDriver driver = CudaDriver.Load([StubLibrary.File]);
        using CudaContext context = driver.RetainPrimaryContext(1);
        CudaOutOfMemoryException e = Assert.Throws<CudaOutOfMemoryException>(() => driver.AllocateDevice(context, 5_000_000_000))!;
        Assert.That(e.Requested, Is.EqualTo(5_000_000_000));
        Assert.That(e.Memory, Is.EqualTo(new CudaMemoryInfo(Free: 1L << 30, Total: 16L << 30)));
        Assert.That(e.Message, Does.Contain("cuMemAlloc_v2").And.Contain("CUDA_ERROR_OUT_OF_MEMORY").And.Contain("5000000000 bytes").And.Contain("1073741824 are free")
            .And.Contain("17179869184").And.Contain("Stub Orin"));

        _stub.Fail("cuMemGetInfo_v2", Unknown);
        e = Assert.Throws<CudaOutOfMemoryException>(() => driver.AllocateDevice(context, 5_000_000_000))!;
        Assert.That(e.Memory, Is.Null);
        Assert.That(e.Error!.Value.Call, Is.EqualTo("cuMemAlloc_v2"), "the second failure does not hide the first");

        e = Assert.Throws<CudaOutOfMemoryException>(() => driver.AllocatePinned(context, int.MaxValue))!;
        Assert.That(e.Requested, Is.EqualTo(int.MaxValue));
        Assert.That(e.Message, Does.Contain("cuMemHostAlloc").And.Contain("pinned host memory"));
    }

    [TestCase(".version 7.0\n.target sm_90\n", NoBinary, CudaModuleFault.WrongArchitecture, "higher than default SM version", "Stub Orin (sm_87)")]
    [TestCase(".version 9.0\n.target sm_80\n", PtxVersion, CudaModuleFault.UnsupportedPtxVersion, "current version is '8.4'", "update the NVIDIA driver")]
    [TestCase(".version 7.0\n.target sm_80\nnonsense", InvalidPtx, CudaModuleFault.InvalidPtx, "line 7", "driver for CUDA 12.4")]
    [TestCase("", InvalidPtx, CudaModuleFault.InvalidPtx, "line 7", "'gemm'")]
    public void A_refused_module_names_itself_device_driver_and_the_compilers_words(string ptx, int code, CudaModuleFault fault, string log, string word)
    {
        CudaDriver driver = CudaDriver.Load([StubLibrary.File]);
        using CudaContext context = driver.RetainPrimaryContext(1);
        CudaModuleException e = Assert.Throws<CudaModuleException>(() => driver.LoadModule(context, "gemm", ptx))!;
        Assert.That(e.Error!.Value.Code, Is.EqualTo(code));
        Assert.That(e.Fault, Is.EqualTo(fault));
        Assert.That(e.Log, Does.Contain(log));
        Assert.That(e.Message, Does.Contain(log).And.Contain("Module 'gemm'").And.Contain(word));
    }

    [Test]
    public void A_driver_without_compiler_says_what_to_install()
    {
        CudaDriver driver = CudaDriver.Load([StubLibrary.File]);
        using CudaContext context = driver.RetainPrimaryContext(0);
        _stub.Fail("cuModuleLoadDataEx", NoJit);
        CudaModuleException e = Assert.Throws<CudaModuleException>(() => driver.LoadModule(context, "gemm", DeviceWork.Ptx))!;
        Assert.That(e.Fault, Is.EqualTo(CudaModuleFault.NoCompiler));
        Assert.That(e.Message, Does.Contain("libnvidia-ptxjitcompiler"));
        Assert.That(e.Log, Is.Empty);
    }

    [Test]
    public void A_log_that_fills_its_buffer_is_kept()
    {
        CudaDriver driver = CudaDriver.Load([StubLibrary.File]);
        using CudaContext context = driver.RetainPrimaryContext(0);
        CudaModuleException e = Assert.Throws<CudaModuleException>(() => driver.LoadModule(context, "gemm", DeviceWork.Ptx + "// endless"))!;
        Assert.That(e.Log, Has.Length.GreaterThan(1000));
        Assert.That(e.Log, Does.Match("^x+$"));
    }

    [Test]
    public void The_compilers_remarks_on_a_good_module_are_kept()
    {
        CudaDriver driver = CudaDriver.Load([StubLibrary.File]);
        using CudaContext context = driver.RetainPrimaryContext(0);
        using CudaModule module = driver.LoadModule(context, "gemm", DeviceWork.Ptx);
        Assert.That(module.Log, Is.EqualTo("ptxas info    : compiled"));
        Assert.That(module.Name, Is.EqualTo("gemm"));
    }

    [Test]
    public void A_missing_kernel_is_named_with_its_module()
    {
        CudaDriver driver = CudaDriver.Load([StubLibrary.File]);
        using CudaContext context = driver.RetainPrimaryContext(0);
        using CudaModule module = driver.LoadModule(context, "elementwise", DeviceWork.Ptx);
        CudaException e = Assert.Throws<CudaException>(() => driver.GetFunction(module, "subtract"))!;
        Assert.That(e.Error!.Value.Code, Is.EqualTo(NotFound));
        Assert.That(e.Message, Does.Contain("'subtract'").And.Contain("'elementwise'"));
    }

    [Test]
    public void More_shared_memory_than_the_device_has_is_refused_with_the_figure()
    {
        CudaDriver driver = CudaDriver.Load([StubLibrary.File]);
        using CudaContext context = driver.RetainPrimaryContext(0);
        using CudaModule module = driver.LoadModule(context, "test", DeviceWork.Ptx);
        CudaFunction add = driver.GetFunction(module, "add");
        Assert.That(() => driver.AllowDynamicSharedMemory(add, 200_000), Throws.TypeOf<CudaException>().With.Message.Contains("200000 bytes"));
        using CudaStream stream = driver.CreateStream(context);
        using DeviceMemory memory = driver.AllocateDevice(context, 12);
        DeviceAddress address = memory.Address;
        Assert.That(
            () => DeviceWork.Add(driver, add, stream, address, 1), Throws.TypeOf<CudaException>().With.Message.Contains("CUDA_ERROR_INVALID_VALUE"),
            "above 48 KB the kernel has to be allowed first");
    }

    [Test]
    public void Only_events_that_take_the_time_can_tell_it()
    {
        CudaDriver driver = CudaDriver.Load([StubLibrary.File]);
        using CudaContext context = driver.RetainPrimaryContext(0);
        using CudaStream stream = driver.CreateStream(context);
        using CudaEvent timed = driver.CreateEvent(context, timing: true), untimed = driver.CreateEvent(context, timing: false);
        driver.Record(timed, stream);
        driver.Record(untimed, stream);
        Assert.That(driver.ElapsedMilliseconds(timed, timed), Is.EqualTo(1.5f));
        Assert.That(() => driver.ElapsedMilliseconds(timed, untimed), Throws.TypeOf<CudaException>().With.Message.Contains("cuEventElapsedTime"));
    }

    [TestCase(0)]
    [TestCase(-1)]
    public void Allocations_have_a_length(int length)
    {
        CudaDriver driver = CudaDriver.Load([StubLibrary.File]);
        using CudaContext context = driver.RetainPrimaryContext(0);
        Assert.That(() => driver.AllocateDevice(context, length), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => driver.AllocatePinned(context, length), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [TestCase(-1)]
    [TestCase(2)]
    public void A_device_that_is_not_there_is_said_so(int device)
    {
        CudaDriver driver = CudaDriver.Load([StubLibrary.File]);
        Assert.That(
            () => driver.RetainPrimaryContext(device),
            Throws.TypeOf<CudaNotAvailableException>().With.Message.EqualTo($"There is no CUDA device {device}: the driver has 2, numbered from 0."));
    }

    private static Type ErrorType(string call, int code) => call switch
    {
        "cuDriverGetVersion" or "cuInit" => typeof(CudaNotAvailableException),
        _ when code == OutOfMemory => typeof(CudaOutOfMemoryException),
        "cuModuleLoadDataEx" => typeof(CudaModuleException),
        _ => typeof(CudaException),
    };
}
