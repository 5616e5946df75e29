namespace KernelAD.Kernels.Tests;

/// <summary>Host twins of the device's rounding.</summary>
internal static class Rounding
{
    /// <summary>To the 10 fraction bits of tf32, ties away from zero.</summary>
    public static float ToTf32(float x) => float.IsFinite(x) ? BitConverter.Int32BitsToSingle((BitConverter.SingleToInt32Bits(x) + 0x1000) & ~0x1FFF) : x;

    /// <summary>What a storage type makes of a number.</summary>
    public static float To(StorageType type, float x) => type switch
    {
        StorageType.Half => (float)(Half)x,
        StorageType.Tf32 => ToTf32(x),
        _ => x,
    };

    /// <summary>Largest relative error of rounding to a storage type.</summary>
    public static double Unit(StorageType type) => type == StorageType.Float ? 0 : Math.ScaleB(1, -11);
}
