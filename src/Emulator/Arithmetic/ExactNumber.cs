namespace KernelAD.Emulator;

/// <summary>±significand · 2^exponent; an infinity where <see cref="FloatFormat.Unpack"/> says so by the exponent <see cref="int.MaxValue"/>.</summary>
/// <param name="Negative">The sign, also of zero.</param>
/// <param name="Significand">The digits.</param>
/// <param name="Exponent">The weight of the lowest digit.</param>
internal readonly record struct ExactNumber(bool Negative, ulong Significand, int Exponent)
{
    /// <summary>An integer of at most 64 bits.</summary>
    public static ExactNumber FromInteger(Int128 value) => new(value < 0, (ulong)(value < 0 ? -value : value), 0);

    /// <summary>The magnitude as a multiple of 2^place, rounded; <see cref="ulong.MaxValue"/> where that has more than 64 bits.</summary>
    public ulong ToMultipleOf(int place, Rounding rounding)
    {
        long shift = (long)place - Exponent;
        if (shift <= 0)
        {
            // An infinity comes here, too.
            return Significand == 0 ? 0 : (ulong)-shift > ulong.LeadingZeroCount(Significand) ? ulong.MaxValue : Significand << (int)-shift;
        }

        // What is cut off, as a fraction of 2^place: the top bit of rest stands for one half.
        ulong whole = shift < 64 ? Significand >> (int)shift : 0;
        ulong rest = shift switch
        {
            <= 64 => Significand << (int)((64 - shift) & 63),
            _ => Significand == 0 ? 0UL : 1,
        };
        const ulong Half = 1UL << 63;
        bool away = rounding switch
        {
            Rounding.NearestEven => rest > Half || (rest == Half && (whole & 1) != 0),
            Rounding.NearestAway => rest >= Half,
            Rounding.Down => Negative && rest != 0,
            Rounding.Up => !Negative && rest != 0,
            _ => false,
        };
        return away ? whole + 1 : whole;
    }
}
