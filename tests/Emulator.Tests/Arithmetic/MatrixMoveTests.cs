namespace KernelAD.Emulator.Tests;

/// <summary>
/// ldmatrix and stmatrix by the PTX ISA's tables: thread l of a matrix holds row l/4, columns 2(l%4) and 2(l%4)+1, row and column changed with .trans.
/// </summary>
public sealed unsafe class MatrixMoveTests
{
    [Test]
    public void Loads_bring_each_element_to_its_lane([Values(1, 2, 4)] int matrices, [Values] bool transposed)
    {
        using Matrices memory = new(matrices);
        using WarpRows rows = new(4);
        MatrixMove.Load(rows.Pointers, matrices, transposed, memory.Addresses);
        for (int m = 0; m < matrices; m++)
        {
            for (int lane = 0; lane < Warp.Lanes; lane++)
            {
                (int major, int minor) = (lane / 4, lane % 4 * 2);
                ushort low = transposed ? memory.Element(m, minor, major) : memory.Element(m, major, minor);
                ushort high = transposed ? memory.Element(m, minor + 1, major) : memory.Element(m, major, minor + 1);
                Assert.That(rows[m][lane], Is.EqualTo(low | ((uint)high << 16)), $"matrix {m}, lane {lane}");
            }
        }
    }

    [Test]
    public void Loads_leave_other_registers_alone()
    {
        using Matrices memory = new(1);
        using WarpRows rows = new(2);
        uint before = rows[1][0];
        MatrixMove.Load(rows.Pointers, 1, transposed: false, memory.Addresses);
        Assert.That(new Span<uint>(rows[1], Warp.Lanes).ToArray(), Has.All.EqualTo(before));
    }

    [Test]
    public void Stores_are_the_inverse_of_loads([Values(1, 2, 4)] int matrices, [Values] bool transposed)
    {
        using Matrices memory = new(matrices);
        using WarpRows rows = new(4);
        MatrixMove.Load(rows.Pointers, matrices, transposed, memory.Addresses);
        using Matrices copy = new(matrices);
        copy.Clear();
        MatrixMove.Store(copy.Addresses, rows.Pointers, matrices, transposed);
        for (int m = 0; m < matrices; m++)
        {
            for (int i = 0; i < 64; i++)
            {
                Assert.That(copy.Element(m, i / 8, i % 8), Is.EqualTo(memory.Element(m, i / 8, i % 8)), $"matrix {m}, element {i}");
            }
        }
    }

    [TestCase(1, 8)]
    [TestCase(2, 16)]
    [TestCase(4, 32)]
    public void Only_so_many_lanes_give_addresses(int matrices, int lanes) => Assert.That(MatrixMove.AddressingLanes(matrices), Is.EqualTo(lanes));

    /// <summary>Matrices with an element of its own in each place, the rows scattered; lanes that give no address point nowhere.</summary>
    private sealed class Matrices : IDisposable
    {
        private readonly WarpRows _memory = new(8);
        private readonly WarpRows _addresses = new(2);

        public Matrices(int count)
        {
            for (int row = 0; row < 32; row++)
            {
                Addresses[row] = row < 8 * count ? (byte*)_memory[0] + (16 * ((row * 13) % 32)) : null;
                for (int column = 0; row < 8 * count && column < 8; column++)
                {
                    ((ushort*)Addresses[row])[column] = (ushort)((row << 8) | (column << 4) | 5);
                }
            }
        }

        public byte** Addresses => (byte**)_addresses[0];

        public ushort Element(int matrix, int row, int column) => ((ushort*)Addresses[(8 * matrix) + row])[column];

        public void Clear() => new Span<uint>(_memory[0], 8 * Warp.Lanes).Clear();

        public void Dispose()
        {
            _memory.Dispose();
            _addresses.Dispose();
        }
    }
}
