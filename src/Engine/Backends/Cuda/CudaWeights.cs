using System.Runtime.InteropServices;
using System.Security.Cryptography;
using KernelAD.Interop;
using KernelAD.Kernels;
using KernelAD.Weights;

namespace KernelAD.Backends.Cuda;

/// <summary>
/// A model file's weights on a CUDA device, and what else plans need there unchanged. Each tensor is read, packed and copied when a plan first asks for
/// it, some
/// rows at a time by way of pinned memory.
/// </summary>
internal sealed class CudaWeights : SharedWeights
{
    private const int StagingFloats = 1 << 20;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, DeviceMemory> _memory = new(StringComparer.Ordinal);
    private CudaStream? _stream;
    private PinnedMemory? _staging;

    private CudaWeights(ModelFile file, CudaSession session)
        : base(file)
    {
        Session = session;
    }

    /// <summary>The device, with its kernels.</summary>
    public CudaSession Session { get; }

    /// <summary>Bytes taken up so far.</summary>
    public long Bytes { get; private set; }

    /// <summary>
    /// The weights of a file on a device: the ones in use if some detector has them already, otherwise new ones that take over <paramref name="file"/>.
    /// </summary>
    public static CudaWeights Of(ModelFile file, ICudaDriver driver, int ordinal, KernelLibrary library) =>
        Of(file, driver, ordinal, f => new CudaWeights(f, new CudaSession(driver, ordinal, library)));

    /// <summary>A linear layer's weight matrix (n, k), packed; see <see cref="LinearPanels"/>.</summary>
    /// <exception cref="ModelFileException">A value is too large for float16.</exception>
    public DeviceAddress Panels(string key, int n, int k, StorageType type) => Panels(key, n, k, taps: 1, k, type);

    /// <summary>
    /// A convolution's weight (n, channels, taps), packed as a matrix whose rows are (taps, channels) with zeros for channels up to paddedChannels.
    /// </summary>
    /// <exception cref="ModelFileException">A value is too large for float16.</exception>
    public DeviceAddress Panels(string key, int n, int channels, int taps, int paddedChannels, StorageType type) => Get(
        $"{key} panels {type}" + (paddedChannels == channels ? "" : $" {paddedChannels}"),
        (long)LinearPanels.PaddedColumns(n) / LinearPanels.Columns * LinearPanels.PanelBytes(taps * paddedChannels, type),
        target =>
        {
            int k = taps * paddedChannels, inFile = channels * taps;
            float[] rows = new float[LinearPanels.Columns * inFile], reordered = inFile == k && taps == 1 ? rows : new float[LinearPanels.Columns * k];
            UploadPanels(target, key, n, k, type, (first, count) =>
            {
                Span<float> part = rows.AsSpan(0, count * inFile);
                Read(key, (long)first * inFile, part);
                if (rows != reordered)
                {
                    for (int i = 0; i < count; i++)
                    {
                        PutTapsFirst(part.Slice(i * inFile, inFile), taps, reordered.AsSpan(i * k, k), paddedChannels);
                    }
                }

                return reordered.AsSpan(0, count * k);
            });
        });

    /// <summary>A transposed convolution's weight (channels, Outputs, Kernel, Kernel), packed as the matrix of its blocks with zeros for channels up to paddedChannels.</summary>
    /// <exception cref="ModelFileException">A value is too large for float16.</exception>
    public DeviceAddress Panels(string key, TransposedBlocks blocks, int channels, int paddedChannels, StorageType type)
    {
        int n = blocks.Columns, k = checked(blocks.Window * blocks.Window * paddedChannels);
        return Get(
            $"{key} panels {type} of {blocks}",
            (long)LinearPanels.PaddedColumns(n) / LinearPanels.Columns * LinearPanels.PanelBytes(k, type),
            target =>
            {
                float[] weight = new float[checked(channels * blocks.Outputs * blocks.Kernel * blocks.Kernel)], rows = new float[LinearPanels.Columns * k];
                Read(key, 0, weight);
                UploadPanels(target, key, n, k, type, (first, count) =>
                {
                    for (int i = 0; i < count; i++)
                    {
                        blocks.Weights(weight, first + i, rows.AsSpan(i * k, k), channels);
                    }

                    return rows.AsSpan(0, count * k);
                });
            });
    }

    /// <summary>A vector of a linear layer (n), padded with zeros to whole panels.</summary>
    public DeviceAddress Vector(string key, int n) => Get($"{key} padded", (long)LinearPanels.PaddedColumns(n) * sizeof(float), target =>
    {
        Span<float> values = MemoryMarshal.Cast<byte, float>(Staging(LinearPanels.PaddedColumns(n) * sizeof(float)));
        values.Clear();
        Read(key, 0, values[..n]);
        Upload(target, values.Length * sizeof(float));
    });

    /// <summary>A transposed convolution's bias (Outputs) for each column of its blocks, padded with zeros to whole panels.</summary>
    public DeviceAddress Vector(string key, TransposedBlocks blocks)
    {
        int bytes = LinearPanels.PaddedColumns(blocks.Columns) * sizeof(float);
        return Get($"{key} of {blocks}", bytes, target =>
        {
            float[] bias = new float[blocks.Outputs];
            Read(key, 0, bias);
            Span<float> values = MemoryMarshal.Cast<byte, float>(Staging(bytes));
            values.Clear();
            for (int column = 0; column < blocks.Columns; column++)
            {
                values[column] = blocks.Output(column) is int output ? bias[output] : 0;
            }

            Upload(target, bytes);
        });
    }

    /// <summary>A weight (outer, inner, taps) as (taps, outer, paddedInner), in float32, with zeros beyond inner.</summary>
    public DeviceAddress TapsFirst(string key, int outer, int inner, int taps, int paddedInner)
    {
        int count = checked(taps * outer * paddedInner);
        return Get($"{key} taps first", count * sizeof(float), target =>
        {
            float[] values = new float[outer * inner * taps];
            Read(key, 0, values);
            Span<float> staging = MemoryMarshal.Cast<byte, float>(Staging(count * sizeof(float)));
            staging.Clear();
            for (int i = 0; i < outer; i++)
            {
                PutTapsFirst(values.AsSpan(i * inner * taps, inner * taps), taps, staging[(i * paddedInner)..], outer * paddedInner);
            }

            Upload(target, count * sizeof(float));
        });
    }

    /// <summary>A tensor as it is in the file, in float32.</summary>
    public DeviceAddress Raw(string key, long count) => Get($"{key} raw", count * sizeof(float), target =>
    {
        for (long first = 0; first < count; first += StagingFloats)
        {
            int bytes = (int)Math.Min(count - first, StagingFloats) * sizeof(float);
            Read(key, first, MemoryMarshal.Cast<byte, float>(Staging(bytes)));
            Upload(target + (first * sizeof(float)), bytes);
        }
    });

    /// <summary>A tensor with one value everywhere.</summary>
    public DeviceAddress Constant(float value, long count) => Get(FormattableString.Invariant($"constant {value:R} × {count}"), count * sizeof(float), target =>
    {
        for (long first = 0; first < count; first += StagingFloats)
        {
            int bytes = (int)Math.Min(count - first, StagingFloats) * sizeof(float);
            MemoryMarshal.Cast<byte, float>(Staging(bytes)).Fill(value);
            Upload(target + (first * sizeof(float)), bytes);
        }
    });

    /// <summary>Numbers that a step looks up: indices, filter taps. The same numbers are there once.</summary>
    public DeviceAddress Table<T>(T[] values)
        where T : unmanaged
    {
        byte[] bytes = MemoryMarshal.AsBytes(values.AsSpan()).ToArray();
        return Get($"table {Convert.ToHexString(SHA256.HashData(bytes))}", bytes.Length, target =>
        {
            bytes.CopyTo(Staging(bytes.Length));
            Upload(target, bytes.Length);
        });
    }

    /// <summary>To be called when a plan has all of its weights: frees what was only needed to compute and to copy them.</summary>
    public void EndLoading()
    {
        lock (_lock)
        {
            _staging?.Dispose();
            _staging = null;
            _stream?.Dispose();
            _stream = null;
            ReleaseFolded();
        }
    }

    protected override void Free()
    {
        EndLoading();
        foreach (DeviceMemory memory in _memory.Values)
        {
            memory.Dispose();
        }

        Session.Dispose();
    }

    /// <summary>Packs a matrix (n, k), a panel at a time.</summary>
    private void UploadPanels(DeviceAddress target, string key, int n, int k, StorageType type, PanelRows rows)
    {
        int panelBytes = LinearPanels.PanelBytes(k, type);
        for (int column = 0; column < LinearPanels.PaddedColumns(n); column += LinearPanels.Columns)
        {
            int count = Math.Clamp(n - column, 0, LinearPanels.Columns);
            if (!LinearPanels.Pack(count == 0 ? [] : rows(column, count), k, type, Staging(panelBytes)))
            {
                throw new ModelFileException($"{FilePath}: tensor \"{key}\" holds values beyond {Half.MaxValue}, the largest of float16; use precision fp32 or tf32");
            }

            Upload(target + ((long)column / LinearPanels.Columns * panelBytes), panelBytes);
        }
    }

    /// <summary>Transposes (channels, taps); a tap's channels begin so many elements behind those of the tap before.</summary>
    private static void PutTapsFirst(ReadOnlySpan<float> values, int taps, Span<float> target, int distance)
    {
        for (int i = 0; i < values.Length; i++)
        {
            target[(i % taps * distance) + (i / taps)] = values[i];
        }
    }

    private DeviceAddress Get(string key, long bytes, Action<DeviceAddress> fill)
    {
        lock (_lock)
        {
            if (!_memory.TryGetValue(key, out DeviceMemory? memory))
            {
                memory = Session.Driver.AllocateDevice(Session.Context, bytes);
                try
                {
                    fill(memory.Address);
                }
                catch
                {
                    memory.Dispose();
                    throw;
                }

                _memory.Add(key, memory);
                Bytes += bytes;
            }

            return memory.Address;
        }
    }

    private Span<byte> Staging(int bytes)
    {
        if (_staging is null || _staging.Length < bytes)
        {
            _staging?.Dispose();
            _staging = null;
            _staging = Session.Driver.AllocatePinned(Session.Context, Math.Max(bytes, StagingFloats * sizeof(float)));
        }

        return _staging.Span[..bytes];
    }

    private void Upload(DeviceAddress target, int bytes)
    {
        _stream ??= Session.Driver.CreateStream(Session.Context);
        Session.Driver.CopyToDevice(target, _staging!.Address, bytes, _stream);
        Session.Driver.Synchronize(_stream);
    }

    /// <summary>So many rows of a matrix, from one on.</summary>
    private delegate ReadOnlySpan<float> PanelRows(int first, int count);
}
