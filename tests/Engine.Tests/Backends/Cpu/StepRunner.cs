using System.Runtime.InteropServices;
using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends.Cpu;

/// <summary>
/// Runs a step on matrices in one arena of native memory. Every buffer lies between guard zones of NaN, rows may be padded with more NaN,
/// outputs start as NaN. <see cref="Run"/> checks what holds for every step: only elements of declared outputs change, the order of the
/// parts and the contents of the scratch memory do not matter, and nothing is allocated.
/// </summary>
internal sealed unsafe class StepRunner : IDisposable
{
    private const int Guard = 64;
    private const int Capacity = 1 << 22;
    private const int ScratchCapacity = 1 << 20;

    private readonly float* _arena = (float*)NativeMemory.AlignedAlloc(Capacity * sizeof(float), 64);
    private readonly byte* _scratch = (byte*)NativeMemory.AlignedAlloc(ScratchCapacity, 64);
    private readonly List<Matrix> _outputs = [];
    private int _used = Guard;

    public StepRunner()
    {
        new Span<float>(_arena, Capacity).Fill(float.NaN);
    }

    private Span<float> Used => new(_arena, _used);

    /// <summary>Places values in the arena, as rows of <paramref name="columns"/> floats <paramref name="padding"/> floats apart.</summary>
    public Matrix Input(float[] values, int columns, int padding = 0)
    {
        Matrix matrix = Place(values.Length / columns, columns, padding);
        for (int row = 0; row < matrix.Rows; row++)
            values.AsSpan(row * columns, columns).CopyTo(Used.Slice(matrix.Start + (row * matrix.Stride), columns));

        return matrix;
    }

    /// <summary>Makes room for a matrix that steps may write, full of NaN.</summary>
    public Matrix Output(int rows, int columns, int padding = 0)
    {
        Matrix matrix = Place(rows, columns, padding);
        _outputs.Add(matrix);
        return matrix;
    }

    /// <summary>Lets steps write an input too.</summary>
    public void MakeWritable(Matrix input) => _outputs.Add(input);

    /// <summary>The matrix's elements, row after row.</summary>
    public float[] Read(Matrix matrix)
    {
        float[] values = new float[matrix.Rows * matrix.Columns];
        for (int row = 0; row < matrix.Rows; row++)
            Used.Slice(matrix.Start + (row * matrix.Stride), matrix.Columns).CopyTo(values.AsSpan(row * matrix.Columns));

        return values;
    }

    /// <summary>Runs all parts in order, then once more from the same start in another order, and compares.</summary>
    public void Run(CpuStep step, int slice = 0)
    {
        Assert.That(step.Parts, Is.GreaterThan(0));
        Assert.That(step.ScratchBytes, Is.InRange(0, ScratchCapacity - Guard));
        float[] before = Used.ToArray();
        int[] order = [.. Enumerable.Range(0, step.Parts)];
        RunParts(step, slice, order, scratchFill: 0xFF);
        float[] after = Used.ToArray();
        AssertOnlyOutputsChanged(before, [.. after]);

        new Random(step.Parts).Shuffle(order);
        long allocated = long.MaxValue;
        for (int attempt = 0; attempt < 3 && allocated != 0; attempt++)
        {
            // The runtime itself may allocate now and then, when it replaces a method by a better compiled one for instance.
            before.CopyTo(Used);
            allocated = RunParts(step, slice, order, scratchFill: 0x40);
        }

        Assert.That(SameBits(Used, after), "The order of the parts or the scratch memory matters.");
        Assert.That(allocated, Is.Zero, "Managed bytes allocated by the step.");
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_arena);
        NativeMemory.AlignedFree(_scratch);
    }

    private Matrix Place(int rows, int columns, int padding)
    {
        int stride = columns + padding;
        Matrix matrix = new(_used, rows, columns, stride, BufferRef.InArena(_used * sizeof(float), stride));
        _used += (rows * stride) + Guard;
        Assert.That(_used, Is.LessThan(Capacity), "The test's arena is too small.");
        return matrix;
    }

    private long RunParts(CpuStep step, int slice, int[] order, byte scratchFill)
    {
        new Span<byte>(_scratch, ScratchCapacity).Fill(scratchFill);
        RunContext run = new((byte*)_arena, slice);
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        foreach (int part in order)
            step.Run(run, part, _scratch);

        allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
        Span<byte> behind = new(_scratch + step.ScratchBytes, Guard);
        Assert.That(behind.IndexOfAnyExcept(scratchFill), Is.Negative, "Scratch memory overrun.");
        return allocated;
    }

    private void AssertOnlyOutputsChanged(float[] before, float[] after)
    {
        foreach (Matrix output in _outputs)
        {
            for (int row = 0; row < output.Rows; row++)
            {
                int start = output.Start + (row * output.Stride);
                before.AsSpan(start, output.Columns).CopyTo(after.AsSpan(start));
            }
        }

        Assert.That(SameBits(before, after), "The step wrote outside of its outputs.");
    }

    private static bool SameBits(Span<float> a, Span<float> b) => MemoryMarshal.AsBytes(a).SequenceEqual(MemoryMarshal.AsBytes(b));

    /// <summary>A matrix in the arena.</summary>
    internal sealed record Matrix(int Start, int Rows, int Columns, int Stride, BufferRef Ref);
}
