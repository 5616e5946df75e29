namespace KernelAD.Imaging;

/// <summary>256 colours from low to high.</summary>
public sealed class ColorMap
{
    private readonly byte[] _colors = new byte[256 * 3];

    private ColorMap(string name, Func<double, (double Red, double Green, double Blue)> color)
    {
        Name = name;
        for (int i = 0; i < 256; i++)
        {
            (double red, double green, double blue) = color(i);
            _colors[3 * i] = ToByte(red);
            _colors[(3 * i) + 1] = ToByte(green);
            _colors[(3 * i) + 2] = ToByte(blue);
        }

        static byte ToByte(double value) => (byte)Math.Round(Math.Clamp(value, 0, 1) * 255);
    }

    /// <summary>
    /// Turbo (Mikhailov, "Turbo, An Improved Rainbow Colormap for Visualization", 2019): a rainbow without jet's false edges. Interpolated
    /// between every eighth entry of
    /// the published table, within 3 of 255 levels of it.
    /// </summary>
    public static ColorMap Turbo { get; } = new("turbo", Between(
    [
        0x30123B, 0x392A73, 0x4040A2, 0x4456C7, 0x466BE3, 0x4680F6, 0x4294FF, 0x37A8FA,
        0x28BCEB, 0x1CCDD8, 0x18DDC2, 0x1FE9AF, 0x32F298, 0x4EF97D, 0x6DFE62, 0x8BFF4B,
        0xA4FC3C, 0xB9F635, 0xCDEC34, 0xDFDF37, 0xEECF3A, 0xF8BE39, 0xFDAC34, 0xFE962B,
        0xFB7E21, 0xF46617, 0xEB500E, 0xDF3F08, 0xD02F05, 0xBE2102, 0xA91601, 0x920B01,
        0x7A0403,
    ]));

    /// <summary>Jet: the rainbow of older publications, piecewise linear in every channel.</summary>
    public static ColorMap Jet { get; } = new("jet", i =>
    {
        double t = i / 255;
        return (1.5 - Math.Abs((4 * t) - 3), 1.5 - Math.Abs((4 * t) - 2), 1.5 - Math.Abs((4 * t) - 1));
    });

    /// <summary>Black to white.</summary>
    public static ColorMap Gray { get; } = new("gray", i => (i / 255, i / 255, i / 255));

    /// <summary>The name, as on the command line.</summary>
    public string Name { get; }

    /// <summary>The colours: 256 times red, green, blue.</summary>
    public ReadOnlySpan<byte> Colors => _colors;

    /// <summary>Colours at 0, 8, 16 … 248, 255, linear in between.</summary>
    private static Func<double, (double Red, double Green, double Blue)> Between(int[] anchors) => i =>
    {
        int low = Math.Min((int)i / 8, anchors.Length - 2);
        double part = (i - (8 * low)) / (Math.Min(8 * (low + 1), 255) - (8 * low));
        return (Channel(16), Channel(8), Channel(0));

        double Channel(int shift) => (((anchors[low] >> shift & 255) * (1 - part)) + ((anchors[low + 1] >> shift & 255) * part)) / 255;
    };
}
