using System.Runtime.InteropServices;

namespace KernelAD.Interop.Tests;

/// <summary>Steers the stub driver that is loaded into this process, and reads what it has seen.</summary>
internal sealed unsafe class Stub
{
    private readonly nint _library = NativeLibrary.Load(StubLibrary.File);

    /// <summary>Loads the stub and forgets what happened to it before.</summary>
    public Stub() => ((delegate* unmanaged<void>)Export("stub_reset"))();

    /// <summary>Every driver call since the last reset, in order.</summary>
    public string[] Calls => [.. Enumerable.Range(0, ((delegate* unmanaged<int>)Export("stub_calls"))()).Select(Call)];

    /// <summary>How many native objects live.</summary>
    public int Live => Number("stub_live");

    /// <summary>How many contexts are pushed, over all threads.</summary>
    public int Pushed => Number("stub_pushed");

    /// <summary>The device whose context is current on this thread; -1 if none is.</summary>
    public int CurrentDevice => Number("stub_current_device");

    /// <summary>The first argument that a driver would refuse; empty if there was none.</summary>
    public string Fault => Marshal.PtrToStringUTF8(((delegate* unmanaged<nint>)Export("stub_fault"))())!;

    /// <summary>Grid x, y, z, block x, y, z and dynamic shared memory of the last launch.</summary>
    public uint[] LastLaunch => [.. Enumerable.Range(0, 7).Select(i => ((delegate* unmanaged<int, uint>)Export("stub_launch"))(i))];

    public void SetVersion(int version) => ((delegate* unmanaged<int, void>)Export("stub_set_version"))(version);

    public void SetDevices(int count) => ((delegate* unmanaged<int, void>)Export("stub_set_devices"))(count);

    /// <summary>Lets one call fail, counted from 1; 0 for none.</summary>
    public void FailAt(int call, int code) => ((delegate* unmanaged<int, int, void>)Export("stub_fail_at"))(call, code);

    /// <summary>Lets a function fail whenever it is called.</summary>
    public void Fail(string function, int code)
    {
        nint name = Marshal.StringToCoTaskMemUTF8(function);
        ((delegate* unmanaged<nint, int, void>)Export("stub_fail_name"))(name, code);
        Marshal.FreeCoTaskMem(name);
    }

    /// <summary>Everything is freed, no context is left pushed, and no argument was wrong.</summary>
    public void AssertClean(string situation = "")
    {
        Assert.That(Fault, Is.Empty, situation);
        Assert.That(Live, Is.Zero, $"live objects {situation}");
        Assert.That(Pushed, Is.Zero, $"pushed contexts {situation}");
    }

    private string Call(int index) => Marshal.PtrToStringUTF8(((delegate* unmanaged<int, nint>)Export("stub_call"))(index))!;

    private int Number(string function) => ((delegate* unmanaged<int>)Export(function))();

    private nint Export(string name) => NativeLibrary.GetExport(_library, name);
}
