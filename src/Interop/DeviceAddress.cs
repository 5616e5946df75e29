namespace KernelAD.Interop;

/// <summary>An address in a device's memory: not to be read by the host.</summary>
/// <param name="Value">The <c>CUdeviceptr</c>, as kernels get it.</param>
public readonly record struct DeviceAddress(ulong Value)
{
    /// <summary>The address <paramref name="bytes"/> further.</summary>
    /// <param name="address">Where to start.</param>
    /// <param name="bytes">How far to go.</param>
    public static DeviceAddress operator +(DeviceAddress address, long bytes) => address.Add(bytes);

    /// <summary>The address <paramref name="bytes"/> further.</summary>
    /// <param name="bytes">How far to go.</param>
    public DeviceAddress Add(long bytes) => new(unchecked(Value + (ulong)bytes));

    /// <summary>The address in hexadecimal.</summary>
    public override string ToString() => $"0x{Value:x}";
}
