namespace KernelAD.Backends.Cpu;

/// <summary>What a micro-kernel does with a row of the tile that it has computed, as a type so that the JIT makes it part of the kernel.</summary>
internal interface ITileStore<TVector>
    where TVector : struct
{
    /// <summary>Takes a row of the tile.</summary>
    /// <param name="row">Its index, ascending from 0.</param>
    /// <param name="first">The first vector of its columns.</param>
    /// <param name="second">The second.</param>
    void Store(int row, TVector first, TVector second);
}
