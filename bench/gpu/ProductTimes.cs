using System.Runtime.InteropServices;
using KernelAD.Backends.Cuda;
using KernelAD.Emulator;
using KernelAD.Interop;
using KernelAD.Kernels;

namespace KernelAD.GpuChecks;

/// <summary>Times the Linear kernels on the models' matrix products, as the engine would launch them; torch_peers.py times cuBLAS on the same.</summary>
internal static unsafe class ProductTimes
{
    private const int Rounds = 7;

    /// <summary>Rows, columns, length of the sums: ViTAD's layers at batch 1, 8 and 32, InTra's with 64 windows, and a cube.</summary>
    public static IReadOnlyList<(int M, int N, int K)> Shapes { get; } =
    [
        .. from batch in (int[])[1, 8, 32]
           from layer in ((int N, int K)[])[(1152, 384), (384, 384), (1536, 384), (384, 1536)]
           select (257 * batch, layer.N, layer.K),
        (3136, 1024, 512), (3136, 256, 1024), (3136, 2048, 512), (3136, 512, 2048), (1024, 1024, 1024), (4096, 4096, 4096),
    ];

    /// <summary>Times all of them in every precision that the device has.</summary>
    /// <param name="device">The device; on the emulator only whether the launches run is found out, on shapes of a few rows.</param>
    /// <param name="output">Receives one line a product and precision.</param>
    public static void Run(Device device, JsonLines output)
    {
        ICudaDriver driver = device.Driver(EmulatorChecks.Memory);
        using CudaSession session = new(driver, device.Ordinal, KernelLibrary.Embedded);
        using CudaStream stream = driver.CreateStream(session.Context);
        using CudaEvent start = driver.CreateEvent(session.Context, timing: true), end = driver.CreateEvent(session.Context, timing: true);
        IEnumerable<(int M, int N, int K)> shapes = device.IsEmulated ? [(33, 64, 64), (5, 40, 256)] : Shapes;
        foreach ((int m, int n, int k) in shapes)
        {
            foreach (StorageType type in (StorageType[])[StorageType.Float, StorageType.Tf32, StorageType.Half])
            {
                LinearChoice choice = LinearTiles.Choose(m, n, k, type, device.Description.Multiprocessors);
                if (!KernelLibrary.Embedded[choice.Kernel].Targets.Contains(session.Target))
                {
                    continue;
                }

                using DeviceMemory x = Random(session, stream, (long)m * k, type);
                using DeviceMemory weight = Random(session, stream, (long)LinearPanels.PaddedColumns(n) / LinearPanels.Columns * LinearPanels.PanelBytes(k, type) / type.Bytes(), type);
                using DeviceMemory y = driver.AllocateDevice(session.Context, (long)m * n * type.Bytes());
                using DeviceMemory workspace = driver.AllocateDevice(session.Context, 4 * LinearLaunches.WorkspaceLength(choice));
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
                IReadOnlyList<KernelLaunch> launches = LinearLaunches.Product(session, choice, arguments, choice.Splits == 1 ? 0 : (long)workspace.Address.Value);
                int repeats = 1;
                double[] times = new double[Rounds];
                if (!device.IsEmulated)
                {
                    // One warm-up that loads the kernels, then enough launches for 20 ms a round.
                    Time(session, stream, start, end, launches, 1);
                    repeats = Math.Clamp((int)(20 / Math.Max(Time(session, stream, start, end, launches, 1), 1e-3)), 1, 2000);
                }

                for (int round = 0; round < (device.IsEmulated ? 1 : Rounds); round++)
                {
                    times[round] = Time(session, stream, start, end, launches, repeats) / repeats;
                }

                output.Add(json =>
                {
                    json.WriteNumber("m", m);
                    json.WriteNumber("n", n);
                    json.WriteNumber("k", k);
                    json.WriteString("precision", LinearTiles.Name(type));
                    json.WriteString("kernel", choice.Kernel);
                    json.WriteNumber("splits", choice.Splits);
                    json.WriteNumber("blocks", choice.Blocks);
                    json.WriteNumber("waves", choice.Waves);
                    json.WriteNumber("padding", choice.Padding);
                    if (!device.IsEmulated)
                    {
                        double milliseconds = times.Order().ElementAt(Rounds / 2);
                        json.WriteNumber("milliseconds", milliseconds);
                        json.WriteNumber("tflops", 2.0 * m * n * k / milliseconds / 1e9);
                    }
                });
            }
        }
    }

    /// <summary>Milliseconds of so many products one after the other.</summary>
    private static double Time(CudaSession session, CudaStream stream, CudaEvent start, CudaEvent end, IReadOnlyList<KernelLaunch> launches, int repeats)
    {
        ICudaDriver driver = session.Driver;
        driver.Record(start, stream);
        for (int i = 0; i < repeats; i++)
        {
            foreach (KernelLaunch launch in launches)
            {
                fixed (byte* arguments = launch.Arguments)
                {
                    driver.Launch(session.Function(launch), launch.Grid, launch.Block, launch.SharedBytes, stream, [(nint)arguments]);
                }
            }
        }

        driver.Record(end, stream);
        driver.Synchronize(end);
        return driver.ElapsedMilliseconds(start, end);
    }

    /// <summary>Numbers in (−1, 1): the power that a GPU draws, and so its clock, depends on the bits.</summary>
    private static DeviceMemory Random(CudaSession session, CudaStream stream, long count, StorageType type)
    {
        Random random = new(1);
        byte[] bytes = new byte[count * type.Bytes()];
        for (int i = 0; i < count; i++)
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

        DeviceMemory memory = session.Driver.AllocateDevice(session.Context, bytes.Length);
        fixed (byte* from = bytes)
        {
            session.Driver.CopyToDevice(memory.Address, (nint)from, bytes.Length, stream);
            session.Driver.Synchronize(stream);
        }

        return memory;
    }
}
