using System.Diagnostics;
using KernelAD.Interop;

namespace KernelAD.Emulator;

/// <summary>Something that a stream does.</summary>
internal abstract unsafe class StreamWork
{
    /// <summary>Does it.</summary>
    /// <param name="device">The device to do it on.</param>
    public abstract void Execute(EmulatedDevice device);

    /// <summary>Runs a kernel.</summary>
    public sealed class Kernel(PtxKernel kernel, LaunchSize grid, LaunchSize block, int sharedMemory, byte[] parameters) : StreamWork
    {
        public override void Execute(EmulatedDevice device)
        {
            long start = Stopwatch.GetTimestamp();
            LaunchCounters counters = KernelRun.Execute(kernel, grid, block, sharedMemory, parameters, device.Memory, device.Options);
            device.Note(new LaunchRecord(kernel.Name, grid, block, kernel.StaticSharedBytes, sharedMemory, counters, Stopwatch.GetElapsedTime(start)));
        }
    }

    /// <summary>Copies from the host: from pinned memory what is there when it is done, from other memory what was there when it was asked for.</summary>
    public sealed class CopyIn(ulong destination, nint source, byte[]? snapshot, long length) : StreamWork
    {
        public override void Execute(EmulatedDevice device)
        {
            byte* target = device.Resolve(destination, length, "copy from the host");
            if (snapshot is not null)
            {
                snapshot.CopyTo(new Span<byte>(target, snapshot.Length));
            }
            else
            {
                Buffer.MemoryCopy((void*)source, target, length, length);
            }

            device.Memory.MarkInitialised(destination, length);
        }
    }

    /// <summary>Copies to the host.</summary>
    public sealed class CopyOut(nint destination, ulong source, long length) : StreamWork
    {
        public override void Execute(EmulatedDevice device) =>
            Buffer.MemoryCopy(device.Resolve(source, length, "copy to the host"), (void*)destination, length, length);
    }

    /// <summary>Copies within the device; bytes that nothing has written stay so.</summary>
    public sealed class Copy(ulong destination, ulong source, long length) : StreamWork
    {
        public override void Execute(EmulatedDevice device)
        {
            byte* from = device.Resolve(source, length, "copy within the device");
            Buffer.MemoryCopy(from, device.Resolve(destination, length, "copy within the device"), length, length);
            Allocation read = device.Memory.Find(source)!, written = device.Memory.Find(destination)!;
            if (read.Initialised is not null)
            {
                Buffer.MemoryCopy(read.Initialised + (source - read.Start), written.Initialised + (destination - written.Start), length, length);
            }
        }
    }

    /// <summary>Sets bytes.</summary>
    public sealed class Fill(ulong destination, byte value, long length) : StreamWork
    {
        public override void Execute(EmulatedDevice device)
        {
            System.Runtime.InteropServices.NativeMemory.Fill(device.Resolve(destination, length, "fill"), (nuint)length, value);
            device.Memory.MarkInitialised(destination, length);
        }
    }

    /// <summary>Marks a place.</summary>
    public sealed class Record(Completion place) : StreamWork
    {
        public override void Execute(EmulatedDevice device) => place.Reach();
    }

    /// <summary>Waits for a place in a stream's work.</summary>
    public sealed class Wait(Completion place) : StreamWork
    {
        public override void Execute(EmulatedDevice device) => device.Drain(place);
    }

    /// <summary>Does recorded work.</summary>
    public sealed class Graph(IReadOnlyList<StreamWork> work) : StreamWork
    {
        public override void Execute(EmulatedDevice device)
        {
            foreach (StreamWork step in work)
            {
                step.Execute(device);
            }
        }
    }
}
