using System.Text;
using KernelAD.Tensors;

namespace KernelAD.Golden;

/// <summary>
/// Tensors given by a formula of their name instead of by bytes, so that golden cases of published size need no large files. The formula is in
/// the golden data's README: FNV-1a of the name, SplitMix64 of the index, and a gain that depends on the tensor's role.
/// </summary>
public static class FormulaTensor
{
    private const ulong GoldenGamma = 0x9E3779B97F4A7C15;

    /// <summary>Values u in [−1, 1) of a name: what formula inputs are.</summary>
    public static void FillUniform(string name, Span<float> values)
    {
        ulong h = Hash(name);
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (float)Uniform(h, i);
        }
    }

    /// <summary>A parameter's values.</summary>
    /// <param name="name">Its key in the checkpoint.</param>
    /// <param name="shape">Its shape.</param>
    /// <param name="kernelGain">Gain of 4-D weights; the golden data's default is 1.6.</param>
    public static float[] Parameter(string name, Shape shape, double kernelGain = 1.6)
    {
        float[] values = new float[shape.Count];
        ulong h = Hash(name);
        (double scale, double offset) = Role(name, shape, kernelGain);
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (float)((Uniform(h, i) * scale) + offset);
        }

        return values;
    }

    private static (double Scale, double Offset) Role(string name, Shape shape, double kernelGain)
    {
        if (shape.Rank == 1)
        {
            return name.EndsWith(".running_var", StringComparison.Ordinal) ? (0.5, 1)
                : name.EndsWith(".weight", StringComparison.Ordinal) ? (0.1, 1) : (0.1, 0);
        }

        if (!name.EndsWith("weight", StringComparison.Ordinal))
        {
            return (0.2, 0);
        }

        double fanIn = (double)shape.Count / shape[0];
        return (Math.Sqrt(3 / fanIn) * (shape.Rank == 4 ? kernelGain : 1), 0);
    }

    private static ulong Hash(string name)
    {
        ulong h = 0xcbf29ce484222325;
        foreach (byte b in Encoding.UTF8.GetBytes(name))
        {
            h = (h ^ b) * 0x100000001b3;
        }

        return h;
    }

    private static double Uniform(ulong h, int i)
    {
        ulong z = h + ((ulong)(i + 1) * GoldenGamma);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        z ^= z >> 31;
        return ((z >> 40) * Math.ScaleB(1, -24) * 2) - 1;
    }
}
