namespace KernelAD.GpuChecks.Instructions;

/// <summary>How a probe's results are compared.</summary>
internal enum ResultKind
{
    /// <summary>Words, bit by bit.</summary>
    Bits,

    /// <summary>float32.</summary>
    Single,

    /// <summary>float16 in the low half of a word.</summary>
    Half,
}

/// <summary>What the PTX ISA promises of results that it leaves open.</summary>
/// <param name="Expected">From a warp's input words and a result's index: the exact value and the unit that its error is measured in; null where the bound
/// does not apply (special values).</param>
/// <param name="Bound">The largest error, in units.</param>
/// <param name="Unit">The unit's name.</param>
internal sealed record Promise(Func<uint[], int, (double Exact, double Unit)?> Expected, double Bound, string Unit);

/// <summary>
/// A snippet of PTX that each lane of a warp runs on its own input words %a0, %a1, … and that leaves result words in %d0, %d1, …; %t0…7 and %u0…7 (float),
/// %h0…3, %p0…1 and
/// %q0…1 (64 bits) are free, <c>buffer</c> is 1 KB of shared memory, %lane the lane, %mine the address of the lane's input.
/// </summary>
/// <param name="Name">The instruction, and what of it is probed.</param>
/// <param name="Architecture">The first architecture that has it.</param>
/// <param name="Body">The snippet.</param>
/// <param name="Inputs">Input words of a lane.</param>
/// <param name="Results">Result words of a lane.</param>
/// <param name="Values">Input words, lane after lane, whole warps.</param>
/// <param name="Kind">How results are compared.</param>
internal sealed record Probe(string Name, int Architecture, string Body, int Inputs, int Results, uint[] Values, ResultKind Kind)
{
    /// <summary>Whether the PTX ISA leaves nothing open: then a difference between device and emulator is an error of the emulator.</summary>
    public bool IsDefined { get; init; }

    /// <summary>What the ISA promises where it leaves something open; null: nothing that could be checked.</summary>
    public Promise? Promise { get; init; }

    /// <summary>What the ISA prescribes, where it is simple enough to be written down: the results of a warp from its inputs.</summary>
    public Func<uint[], uint[]>? Prescribed { get; init; }

    /// <summary>
    /// For a handful of inputs made to tell how the hardware does it, what they are: the report shows the first result of each warp. Null: an ordinary
    /// probe.
    /// </summary>
    public string? Meaning { get; init; }

    /// <summary>The module.</summary>
    public string Ptx => $$"""
        .version 7.0
        .target {{(Architecture >= 80 ? "sm_80" : "sm_75")}}
        .address_size 64
        .visible .entry probe(.param .u64 from, .param .u64 to)
        {
            .reg .b32 %a<{{Math.Max(Inputs, 1)}}>, %d<{{Results}}>, %t<8>, %lane, %block;
            .reg .f32 %u<8>;
            .reg .b16 %h<4>;
            .reg .pred %p<2>;
            .reg .b64 %q<2>, %mine, %out;
            .shared .align 16 .b8 buffer[1024];
            mov.u32 %lane, %tid.x;
            mov.u32 %block, %ctaid.x;
            mad.lo.u32 %t0, %block, 32, %lane;
            ld.param.u64 %mine, [from];
            ld.param.u64 %out, [to];
            mad.wide.u32 %mine, %t0, {{4 * Inputs}}, %mine;
            mad.wide.u32 %out, %t0, {{4 * Results}}, %out;
        {{string.Join('\n', Enumerable.Range(0, Inputs).Select(i => $"    ld.global.u32 %a{i}, [%mine+{4 * i}];"))}}
        {{Body}}
        {{string.Join('\n', Enumerable.Range(0, Results).Select(i => $"    st.global.u32 [%out+{4 * i}], %d{i};"))}}
            ret;
        }
        """;
}
