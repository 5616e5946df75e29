using System.Runtime.InteropServices;
using KernelAD.Backends.Cuda;
using KernelAD.Emulator;
using KernelAD.Interop;
using KernelAD.Kernels;

namespace KernelAD.GpuChecks;

/// <summary>
/// Times the Linear kernels on the models' matrix products, in every way that they can be cut, and marks the one that the engine chooses;
/// torch_peers.py times cuBLAS on the same products.
/// </summary>
internal static unsafe class ProductTimes
{
    private const int Rounds = 5;

    /// <summary>Milliseconds of work between two events: launches are captured into a graph, so that the host's part of a launch does not count.</summary>
    private const double RoundLength = 2;

    /// <summary>
    /// Rows, columns, length of the sums: ViTAD's layers at batch 1, 8 and 32, VT-ADL's, UniAD's and ADTR's at batch 1 and 8, InTra's with all
    /// windows of a picture, a quarter of them, and cubes.
    /// </summary>
    public static IReadOnlyList<(int M, int N, int K)> Shapes { get; } =
    [
        .. Layers([1, 8, 32], 257, (1152, 384), (384, 384), (1536, 384), (384, 1536)),
        .. Layers([1, 8], 197, (2304, 768), (768, 768), (3072, 768), (768, 3072)),
        .. Layers([1, 8], 196, (256, 272), (512, 256), (256, 256), (1024, 256), (256, 1024), (272, 256)),
        (12544, 1024, 512), (12544, 256, 1024), (12544, 512, 512), (12544, 2048, 512), (12544, 512, 2048), (3136, 1024, 512), (3136, 256, 1024), (3136, 2048, 512), (3136, 512, 2048), (1024, 1024, 1024), (4096, 4096, 4096),
    ];

    /// <summary>Times all of them in every precision that the device has.</summary>
    /// <param name="device">The device; on the emulator only whether the launches run is found out, on shapes of a few rows.</param>
    /// <param name="output">Receives one line a product, precision and cut.</param>
    public static void Run(Device device, JsonLines output)
    {
        ICudaDriver driver = device.Driver(EmulatorChecks.Memory);
        using CudaSession session = new(driver, device.Ordinal, KernelLibrary.Embedded);
        using CudaStream stream = driver.CreateStream(session.Context);
        using CudaEvent start = driver.CreateEvent(session.Context, timing: true), end = driver.CreateEvent(session.Context, timing: true);
        IEnumerable<(int M, int N, int K)> shapes = device.IsEmulated ? [(33, 64, 64), (5, 40, 256)] : Shapes;
        foreach ((int m, int n, int k) in shapes)
        {
            foreach (StorageType type in (StorageType[])[StorageType.Half, StorageType.Float, StorageType.Tf32])
            {
                LinearChoice[] choices = [.. LinearTiles.All(m, n, k, type, device.Description.Multiprocessors).Where(c => session.Has(c.Kernel))];
                if (choices.Length == 0)
                {
                    continue;
                }

                LinearChoice chosen = LinearTiles.Choose(session, m, n, k, type);

                using DeviceMemory x = Random(session, stream, (long)m * k, type);
                using DeviceMemory weight = Random(session, stream, (long)LinearPanels.PaddedColumns(n) / LinearPanels.Columns * LinearPanels.PanelBytes(k, type) / type.Bytes(), type);
                using DeviceMemory y = driver.AllocateDevice(session.Context, (long)m * n * type.Bytes());
                LinearArguments arguments = new()
                {
                    X = (long)x.Address.Value,
                    Weight = (long)weight.Address.Value,
                    Y = (long)y.Address.Value,
                    M = m,
                    N = n,
                    K = k,
                    XStride = k,
                    YStride = n,
                    Type = type,
                };
                foreach (LinearChoice choice in choices)
                {
                    using DeviceMemory workspace = driver.AllocateDevice(session.Context, 4 * LinearLaunches.WorkspaceLength(choice));
                    IReadOnlyList<KernelLaunch> launches = LinearLaunches.Product(session, choice, arguments, choice.Splits == 1 ? 0 : (long)workspace.Address.Value);
                    double time = Time(device, session, stream, start, end, launches);
                    Write(output, device, choice, choice == chosen, choice.Kernel, time);
                }
            }
        }
    }

    private static IEnumerable<(int M, int N, int K)> Layers(int[] batches, int tokens, params (int N, int K)[] layers) =>
        from batch in batches
        from layer in layers
        select (tokens * batch, layer.N, layer.K);

    private static void Write(JsonLines output, Device device, LinearChoice choice, bool chosen, string kernel, double milliseconds) => output.Add(json =>
    {
        json.WriteNumber("m", choice.M);
        json.WriteNumber("n", choice.N);
        json.WriteNumber("k", choice.K);
        json.WriteString("precision", LinearTiles.Name(choice.Type));
        json.WriteString("kernel", kernel);
        json.WriteBoolean("chosen", chosen);
        json.WriteNumber("splits", choice.Splits);
        json.WriteNumber("blocks", choice.Blocks);
        json.WriteNumber("waves", choice.Waves);
        json.WriteNumber("padding", choice.Padding);
        if (!device.IsEmulated)
        {
            json.WriteNumber("milliseconds", milliseconds);
            json.WriteNumber("tflops", 2.0 * choice.M * choice.N * choice.K / milliseconds / 1e9);
        }
    });

    /// <summary>Median milliseconds of a product, one after the other.</summary>
    private static double Time(Device device, CudaSession session, CudaStream stream, CudaEvent start, CudaEvent end, IReadOnlyList<KernelLaunch> launches)
    {
        // The first loads the kernels, which a capture must not meet.
        Launch(session, stream, launches);
        session.Driver.Synchronize(stream);
        int repeats = device.IsEmulated ? 1 : 20;
        double[] times = new double[Rounds];
        using CudaGraphExecutable graph = Captured(session, stream, launches, repeats);
        int replays = device.IsEmulated ? 1 : Math.Clamp((int)(RoundLength / Math.Max(Replay(session, stream, start, end, graph, 1), 1e-3)), 1, 100);
        for (int round = 0; round < (device.IsEmulated ? 1 : Rounds); round++)
        {
            times[round] = Replay(session, stream, start, end, graph, replays) / replays / repeats;
        }

        return times.Order().ElementAt(Rounds / 2);
    }

    private static CudaGraphExecutable Captured(CudaSession session, CudaStream stream, IReadOnlyList<KernelLaunch> launches, int repeats)
    {
        session.Driver.BeginCapture(stream);
        for (int i = 0; i < repeats; i++)
        {
            Launch(session, stream, launches);
        }

        using CudaGraph graph = session.Driver.EndCapture(stream);
        return session.Driver.Instantiate(graph);
    }

    private static double Replay(CudaSession session, CudaStream stream, CudaEvent start, CudaEvent end, CudaGraphExecutable graph, int replays)
    {
        session.Driver.Record(start, stream);
        for (int i = 0; i < replays; i++)
        {
            session.Driver.Launch(graph, stream);
        }

        session.Driver.Record(end, stream);
        session.Driver.Synchronize(end);
        return session.Driver.ElapsedMilliseconds(start, end);
    }

    private static void Launch(CudaSession session, CudaStream stream, IReadOnlyList<KernelLaunch> launches)
    {
        foreach (KernelLaunch launch in launches)
        {
            fixed (byte* arguments = launch.Arguments)
            {
                session.Driver.Launch(session.Function(launch), launch.Grid, launch.Block, launch.SharedBytes, stream, [(nint)arguments]);
            }
        }
    }

    /// <summary>Numbers in (−1, 1): the power that a GPU draws, and so its clock, depends on the bits.</summary>
    private static DeviceMemory Random(CudaSession session, CudaStream stream, long count, StorageType type)
    {
        const int Period = 1 << 16;
        Random random = new(1);
        byte[] bytes = new byte[count * type.Bytes()];
        for (int i = 0; i < Math.Min(count, Period); i++)
        {
            float value = (2 * random.NextSingle()) - 1;
            if (type == StorageType.Half)
            {
                MemoryMarshal.Cast<byte, Half>(bytes.AsSpan())[i] = (Half)value;
            }
            else
            {
                MemoryMarshal.Cast<byte, float>(bytes.AsSpan())[i] = type == StorageType.Tf32 ? LinearPanels.RoundToTf32(value) : value;
            }
        }

        int period = Period * type.Bytes();
        for (int at = period; at < bytes.Length; at += period)
        {
            bytes.AsSpan(0, Math.Min(period, bytes.Length - at)).CopyTo(bytes.AsSpan(at));
        }

        DeviceMemory memory = session.Driver.AllocateDevice(session.Context, bytes.Length);
        fixed (byte* from = bytes)
        {
            session.Driver.CopyToDevice(memory.Address, (nint)from, bytes.Length, stream);
            session.Driver.Synchronize(stream);
        }

        return memory;
    }
}
