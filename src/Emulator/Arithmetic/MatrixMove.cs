namespace KernelAD.Emulator;

/// <summary>
/// <c>ldmatrix</c> and <c>stmatrix</c>, shape <c>.m8n8</c> of 16-bit elements. Row r of matrix m, 16 bytes, lies at the address that lane 8·m + r gives. The
/// register of matrix m holds in lane l the elements (l/4, 2·(l%4)) and, in the high half, (l/4, 2·(l%4) + 1); with <c>.trans</c> row and column change
/// places.
/// </summary>
internal static unsafe class MatrixMove
{
    /// <summary>Bytes of a matrix's row: what each of the addresses in use points to.</summary>
    public const int RowBytes = 16;

    private const int Rows = 8;
    private const int Pairs = 4;

    /// <summary>How many lanes' addresses count.</summary>
    /// <param name="matrices">1, 2 or 4.</param>
    public static int AddressingLanes(int matrices) => Rows * matrices;

    /// <summary>Loads matrices.</summary>
    /// <param name="destinations">A row of lanes for each matrix.</param>
    /// <param name="matrices">1, 2 or 4.</param>
    /// <param name="transposed">Whether each matrix is transposed.</param>
    /// <param name="addresses">Where each lane's address points to in the host's memory.</param>
    public static void Load(uint** destinations, int matrices, bool transposed, byte** addresses)
    {
        for (int m = 0; m < matrices; m++)
        {
            uint* destination = destinations[m];
            byte** rows = addresses + (Rows * m);
            for (int outer = 0; outer < Rows; outer++)
            {
                for (int pair = 0; pair < Pairs; pair++)
                {
                    destination[(Pairs * outer) + pair] = transposed
                        ? Element(rows[2 * pair], outer) | ((uint)Element(rows[(2 * pair) + 1], outer) << 16)
                        : ((uint*)rows[outer])[pair];
                }
            }
        }
    }

    /// <summary>Stores matrices.</summary>
    /// <param name="addresses">Where each lane's address points to in the host's memory.</param>
    /// <param name="sources">A row of lanes for each matrix.</param>
    /// <param name="matrices">1, 2 or 4.</param>
    /// <param name="transposed">Whether each matrix is transposed.</param>
    public static void Store(byte** addresses, uint** sources, int matrices, bool transposed)
    {
        for (int m = 0; m < matrices; m++)
        {
            uint* source = sources[m];
            byte** rows = addresses + (Rows * m);
            for (int outer = 0; outer < Rows; outer++)
            {
                for (int pair = 0; pair < Pairs; pair++)
                {
                    uint elements = source[(Pairs * outer) + pair];
                    if (transposed)
                    {
                        Element(rows[2 * pair], outer) = (ushort)elements;
                        Element(rows[(2 * pair) + 1], outer) = (ushort)(elements >> 16);
                    }
                    else
                    {
                        ((uint*)rows[outer])[pair] = elements;
                    }
                }
            }
        }
    }

    private static ref ushort Element(byte* row, int column) => ref ((ushort*)row)[column];
}
