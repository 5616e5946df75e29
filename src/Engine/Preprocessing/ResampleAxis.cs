namespace KernelAD.Preprocessing;

/// <summary>
/// What resampling does along one axis: for every output position that is wanted, where its taps start and their integer weights (22
/// fractional
/// bits). Only a range of the output may be wanted (a crop); it is computed exactly as it would be within the whole.
/// </summary>
internal sealed class ResampleAxis
{
    /// <summary>Fractional bits of a weight: 32 bits less 8 for the pixel and 2 for the overshoot of a cubic's negative lobes.</summary>
    public const int FractionBits = 22;

    private readonly int[] _starts;
    private readonly int[] _counts;
    private readonly int[] _weights;

    /// <summary>Computes starts and weights.</summary>
    /// <param name="filter">The filter.</param>
    /// <param name="input">Extent before resampling.</param>
    /// <param name="output">Extent after resampling.</param>
    /// <param name="first">First output position that is wanted.</param>
    /// <param name="count">Number of output positions that are wanted.</param>
    /// <param name="repeat">How often each weight is stored in a row, so that a vector of weights fits a vector of pixels of so many
    /// channels.</param>
    public ResampleAxis(Interpolation filter, int input, int output, int first, int count, int repeat)
    {
        Count = count;
        IsIdentity = input == output;
        _starts = new int[count];
        _counts = new int[count];

        // Shrinking stretches the filter over 'scale' input pixels, which is what makes it antialiased; growing leaves it as it is.
        double scale = (double)input / output;
        double stretch = Math.Max(scale, 1);
        double support = stretch * filter.Support();
        Begin = input;
        for (int i = 0; i < count; i++)
        {
            double centre = (first + i + 0.5) * scale;
            int low = IsIdentity ? first + i : Math.Max((int)(centre - support + 0.5), 0);
            int high = IsIdentity ? low + 1 : Math.Min((int)(centre + support + 0.5), input);
            _starts[i] = low;
            _counts[i] = high - low;
            Begin = Math.Min(Begin, low);
            End = Math.Max(End, high);
            Taps = Math.Max(Taps, high - low);
        }

        // Four taps make the widest vector; the padding weighs nothing.
        Taps = IsIdentity ? 1 : (Taps + 3) & ~3;
        _weights = new int[count * Taps * repeat];
        double[] exact = new double[Taps];
        for (int i = 0; i < count; i++)
        {
            double centre = (first + i + 0.5) * scale;
            Span<double> taps = exact.AsSpan(0, _counts[i]);
            double sum = 0;
            for (int j = 0; j < taps.Length; j++)
            {
                taps[j] = IsIdentity ? 1 : filter.Weight((_starts[i] + j - centre + 0.5) * (1 / stretch));
                sum += taps[j];
            }

            for (int j = 0; j < taps.Length; j++)
            {
                // Rounded half away from zero, as a cast that truncates does after half was added with the weight's sign.
                double weight = taps[j] / sum * (1 << FractionBits);
                _weights.AsSpan(((i * Taps) + j) * repeat, repeat).Fill((int)(weight < 0 ? weight - 0.5 : weight + 0.5));
            }

            _starts[i] -= Begin;
        }
    }

    /// <summary>Number of output positions.</summary>
    public int Count { get; }

    /// <summary>First input position that any of them needs.</summary>
    public int Begin { get; }

    /// <summary>End (exclusive) of the input positions that any of them needs.</summary>
    public int End { get; }

    /// <summary>Weights stored per output position: a multiple of four, or 1 if nothing is to be resampled.</summary>
    public int Taps { get; }

    /// <summary>Whether the extent does not change, so that the axis only selects a range.</summary>
    public bool IsIdentity { get; }

    /// <summary>First tap of every output position, counted from <see cref="Begin"/>.</summary>
    public ReadOnlySpan<int> Starts => _starts;

    /// <summary>Taps of every output position that lie inside the input; what follows up to <see cref="Taps"/> weighs nothing.</summary>
    public ReadOnlySpan<int> Counts => _counts;

    /// <summary>All weights: [<see cref="Count"/>][<see cref="Taps"/>][repeat].</summary>
    public ReadOnlySpan<int> Weights => _weights;
}

/// <summary>The continuous filters behind <see cref="Interpolation"/>.</summary>
internal static class InterpolationFilters
{
    /// <summary>Half the width of the filter, in pixels of the coarser of the two grids.</summary>
    public static int Support(this Interpolation filter) => filter switch
    {
        Interpolation.Bilinear => 1,
        Interpolation.Bicubic => 2,
        Interpolation.Lanczos => LanczosSupport,
        _ => throw new ConfigurationException($"unknown interpolation {filter}; use Bilinear, Bicubic or Lanczos"),
    };

    /// <summary>
    /// The filter at a distance: 1 − |x| for <see cref="Interpolation.Bilinear"/>; Keys' cubic with a = −0.5 for
    /// <see cref="Interpolation.Bicubic"/>; sinc(x) · sinc(x/3), sinc(x) = sin(πx)/(πx), for <see cref="Interpolation.Lanczos"/>.
    /// Evaluated in the order in which Pillow does, since the integer weights depend on the last bit.
    /// </summary>
    public static double Weight(this Interpolation filter, double x)
    {
        const double A = -0.5;
        x = Math.Abs(x);
        return filter switch
        {
            Interpolation.Bilinear => x < 1 ? 1 - x : 0,
            Interpolation.Bicubic when x < 1 => (((A + 2) * x) - (A + 3)) * x * x + 1,
            Interpolation.Bicubic when x < 2 => ((((x - 5) * x) + 8) * x - 4) * A,
            Interpolation.Lanczos when x < LanczosSupport => Sinc(x) * Sinc(x / LanczosSupport),
            _ => 0,
        };

        static double Sinc(double x)
        {
            double angle = x * Math.PI;
            return x == 0 ? 1 : Math.Sin(angle) / angle;
        }
    }

    private const int LanczosSupport = 3;
}
