namespace KernelAD.Emulator;

/// <summary>
/// How a tensor core adds the floating-point products of one <c>mma.sync</c>. PTX leaves order and rounding open, beyond "at least single precision", and
/// generations of hardware differ: <see cref="EmulatedTarget.MatrixSums"/> says which has what.
/// </summary>
internal enum MatrixSums : byte
{
    /// <summary>
    /// ((C + A₀B₀) + A₁B₁) + … in ascending k, each step one fused multiply-add in binary32: products are exact, sums are rounded to nearest. No hardware
    /// adds so; it stands for those that have not been measured.
    /// </summary>
    Sequential,

    /// <summary>
    /// All products and C at once, aligned to the largest and cut off, as measured on an NVIDIA H200 (sm_90): <see cref="AlignedSums"/>.
    /// </summary>
    Aligned,
}
