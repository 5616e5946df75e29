namespace KernelAD.Emulator;

/// <summary>
/// Which neighbour a value gets that is not representable. PTX's <c>.rni</c>, <c>.rzi</c>, <c>.rmi</c>, <c>.rpi</c> are the same to integers.
/// </summary>
internal enum Rounding : byte
{
    /// <summary><c>.rn</c>: the nearest, of two equally near the even one.</summary>
    NearestEven,

    /// <summary><c>.rna</c>: the nearest, of two equally near the one further from zero.</summary>
    NearestAway,

    /// <summary><c>.rz</c>: towards zero.</summary>
    Zero,

    /// <summary><c>.rm</c>: towards minus infinity.</summary>
    Down,

    /// <summary><c>.rp</c>: towards plus infinity.</summary>
    Up,
}
