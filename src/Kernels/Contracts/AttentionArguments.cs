namespace KernelAD.Kernels;

/// <summary>
/// Which keys a query sees where the tokens are the cells of a grid, row by row. Neighbours of a cell are the cells at most RowRadius rows and ColumnRadius
/// columns away, itself included; the window is cut at the borders.
/// </summary>
internal enum AttentionMask
{
    /// <summary>All of them.</summary>
    None,

    /// <summary>Its neighbours only.</summary>
    Neighbours,

    /// <summary>All but its neighbours. A query that then sees nothing gets NaN.</summary>
    Others,
}

/// <summary>
/// Arguments of the attention kernels: per batch item and head o = softmax(scale · q·kᵀ)·v. Addresses are device addresses; strides and batch distances are
/// in elements of the operand. Heads are neighbouring slices of a row: head h of q and k begins at element h·KeyWidth, of v and o at h·ValueWidth. q, k and v
/// may be columns of one matrix; each of q, k, v within one batch item must be below 2 GB. o may not overlap them. Launch: see <see cref="AttentionLaunch"/>.
/// </summary>
internal struct AttentionArguments
{
    /// <summary>q: float32, float32 rounded to tf32 or float16, as the kernel's name says; so are k and v.</summary>
    public long Q;

    /// <summary>k.</summary>
    public long K;

    /// <summary>v.</summary>
    public long V;

    /// <summary>o, of type <see cref="Type"/>.</summary>
    public long O;

    /// <summary>Distance of batch items of q; 0 if all share one.</summary>
    public long QBatch;

    /// <summary>Distance of batch items of k; 0 if all share one.</summary>
    public long KBatch;

    /// <summary>Distance of batch items of v; 0 if all share one.</summary>
    public long VBatch;

    /// <summary>Distance of batch items of o.</summary>
    public long OBatch;

    /// <summary>Distance of rows of q.</summary>
    public int QStride;

    /// <summary>Distance of rows of k.</summary>
    public int KStride;

    /// <summary>Distance of rows of v.</summary>
    public int VStride;

    /// <summary>Distance of rows of o.</summary>
    public int OStride;

    /// <summary>Rows of q and o of a batch item.</summary>
    public int Queries;

    /// <summary>Rows of k and v of a batch item, at least 1.</summary>
    public int Keys;

    /// <summary>Width of a head of q and k, 1 … 128.</summary>
    public int KeyWidth;

    /// <summary>Width of a head of v and o, 1 … 128.</summary>
    public int ValueWidth;

    /// <summary>Factor of the logits, positive.</summary>
    public float Scale;

    /// <summary>Type of o.</summary>
    public StorageType Type;

    /// <summary>
    /// 1 if every head of every row may be accessed by vectors: addresses, batch distances, strides and both head widths are multiples of 16 bytes in q, k and v,
    /// and of four elements in o. Else 0: right, but slower.
    /// </summary>
    public int Vectors;

    /// <summary>Which keys a query sees. Other than <see cref="AttentionMask.None"/>, Queries = Keys = cells of the grid.</summary>
    public AttentionMask Mask;

    /// <summary>Columns of the grid; read only with a mask.</summary>
    public Divisor GridWidth;

    /// <summary>Rows that neighbours may be apart.</summary>
    public int RowRadius;

    /// <summary>Columns that neighbours may be apart.</summary>
    public int ColumnRadius;

    /// <summary>Nothing: makes the size a multiple of 8.</summary>
    public int Unused;
}

/// <summary>What a launch of the attention kernels has to know.</summary>
internal static class AttentionLaunch
{
    /// <summary>Queries that a warp takes: the grid is (⌈Queries / (16 · warps of a block)⌉, heads, batch).</summary>
    public const int WarpQueries = 16;

    /// <summary>Widest head.</summary>
    public const int WidestHead = 128;

    /// <summary>
    /// The narrowest kernel that can do it. <c>attention_T_W</c> takes heads up to W wide, <c>attention_T_K_V</c> queries and keys up to K and values up to V. Those on
    /// tensor cores want vectors and no mask, except for <c>attention_T_W_any</c>.
    /// </summary>
    /// <param name="operands">Type of q, k and v.</param>
    /// <param name="a">The arguments.</param>
    public static string Kernel(StorageType operands, AttentionArguments a)
    {
        string type = operands switch { StorageType.Half => "fp16", StorageType.Tf32 => "tf32", _ => "fp32" };
        bool fast = operands != StorageType.Float, any = fast && (a.Vectors == 0 || a.Mask != AttentionMask.None);
        string width = (a.KeyWidth, a.ValueWidth) switch
        {
            ( <= 32, <= 32) => "32",
            ( <= 32, <= 64) when fast && !any => "32_64",
            ( <= 64, <= 64) => "64",
            _ => "128",
        };
        return $"attention_{type}_{width}{(any ? "_any" : "")}";
    }
}
