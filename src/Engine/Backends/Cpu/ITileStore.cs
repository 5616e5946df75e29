namespace KernelAD.Backends.Cpu;

/// <summary>What a micro-kernel does with a row of the tiles that it computes, as a type so that the JIT makes it part of the kernel.</summary>
internal interface ITileStore<TVector>
    where TVector : struct
{
    /// <summary>Fetches what storing a tile's rows will touch, while it is multiplied.</summary>
    /// <param name="row">The first row's index.</param>
    /// <param name="rows">Their number.</param>
    void Prefetch(int row, int rows);

    /// <summary>Takes a row of a tile.</summary>
    /// <param name="row">Its index; ascending.</param>
    /// <param name="first">The first vector of its columns.</param>
    /// <param name="second">The second.</param>
    void Store(int row, TVector first, TVector second);
}
