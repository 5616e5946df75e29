namespace KernelAD.Backends.Cpu;

/// <summary>What a micro-kernel does with the tiles that it computes, as a type so that the JIT makes it part of the kernel.</summary>
internal interface ITileStore<TVector>
    where TVector : struct
{
    /// <summary>Moves to a tile.</summary>
    /// <param name="row">Its first row's index.</param>
    void Seek(int row);

    /// <summary>Fetches what storing a row of that tile will touch. The kernel calls it while it multiplies, once for each row.</summary>
    /// <param name="row">Which one, from 0 on.</param>
    void Fetch(int row);

    /// <summary>Takes a row of that tile.</summary>
    /// <param name="row">Which one, from 0 on.</param>
    /// <param name="first">The first vector of its columns.</param>
    /// <param name="second">The second.</param>
    void Store(int row, TVector first, TVector second);
}
