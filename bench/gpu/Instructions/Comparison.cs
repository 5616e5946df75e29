namespace KernelAD.GpuChecks.Instructions;

/// <summary>A device's results beside the emulator's and beside what the PTX ISA says.</summary>
/// <param name="Differing">Results that are not the emulator's, bit by bit; any NaN equals any other.</param>
/// <param name="Distance">The largest distance between the two in units of the last place, where both are finite.</param>
/// <param name="Worst">The largest error in the promise's units; 0 without one.</param>
/// <param name="Wrong">Results that are not as prescribed.</param>
/// <param name="Passed">Whether nothing contradicts the PTX ISA.</param>
internal sealed record Comparison(int Differing, long Distance, double Worst, int Wrong, bool Passed)
{
    private const int Lanes = 32;

    /// <summary>Compares.</summary>
    public static Comparison Of(Probe probe, uint[] results, uint[] emulated)
    {
        int differing = 0, wrong = 0;
        long distance = 0;
        for (int i = 0; i < results.Length; i++)
        {
            (bool isNumber, long place) = Place(probe.Kind, results[i]);
            (bool isNumberThere, long other) = Place(probe.Kind, emulated[i]);
            if (results[i] != emulated[i] && (isNumber || isNumberThere))
            {
                differing++;
                distance = isNumber && isNumberThere && probe.Kind != ResultKind.Bits ? Math.Max(distance, Math.Abs(place - other)) : distance;
            }
        }

        double worst = 0;
        int inputsOfWarp = Lanes * probe.Inputs, resultsOfWarp = Lanes * probe.Results;
        for (int warp = 0; warp < results.Length / resultsOfWarp; warp++)
        {
            uint[] inputs = probe.Values[(warp * inputsOfWarp)..((warp + 1) * inputsOfWarp)];
            uint[]? prescribed = probe.Prescribed?.Invoke(inputs);
            for (int i = 0; i < resultsOfWarp; i++)
            {
                uint result = results[(warp * resultsOfWarp) + i];
                wrong += prescribed is not null && prescribed[i] != result ? 1 : 0;
                if (probe.Promise?.Expected(inputs, i) is (double exact, double unit))
                {
                    // Where the largest number would be rounded up there is infinity: the next number, had the exponent one more bit.
                    double found = BitConverter.UInt32BitsToSingle(result);
                    found = double.IsInfinity(found) ? Math.CopySign(Math.ScaleB(1, 128), found) : found;
                    double error = Math.Abs(found - exact) / unit;
                    worst = Math.Max(worst, error);
                }
            }
        }

        bool passed = wrong == 0 && (probe.Promise is null || worst <= probe.Promise.Bound) && !(probe.IsDefined && differing > 0);
        return new Comparison(differing, distance, worst, wrong, passed);
    }

    /// <summary>Whether a result is no NaN, and its place on the line of all numbers.</summary>
    private static (bool IsNumber, long Place) Place(ResultKind kind, uint word) => kind switch
    {
        ResultKind.Single => (!float.IsNaN(BitConverter.UInt32BitsToSingle(word)), (word & 0x8000_0000) == 0 ? word : -(long)(word & 0x7FFF_FFFF)),
        ResultKind.Half => (!Half.IsNaN(BitConverter.UInt16BitsToHalf((ushort)word)), (word & 0x8000) == 0 ? word : -(long)(word & 0x7FFF)),
        _ => (true, word),
    };
}
