namespace KernelAD.Emulator;

/// <summary>What a <see cref="PtxToken"/> is.</summary>
internal enum PtxTokenKind
{
    /// <summary>A name, an opcode with its modifiers or a directive: <c>%r1</c>, <c>ld.global.L2::128B.f32</c>, <c>.entry</c>.</summary>
    Word,

    /// <summary>A number as it is written.</summary>
    Number,

    /// <summary>A quoted text, without its quotes.</summary>
    Text,

    /// <summary>A single other character.</summary>
    Punctuation,

    /// <summary>The end of the module.</summary>
    End,
}

/// <summary>The smallest unit of PTX text.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Text">How it is written.</param>
/// <param name="Line">The line it is in, from 1.</param>
internal readonly record struct PtxToken(PtxTokenKind Kind, string Text, int Line)
{
    /// <summary>The token for messages.</summary>
    public override string ToString() => Kind == PtxTokenKind.End ? "the end of the text" : $"'{(Text.Length > 60 ? Text[..60] + "…" : Text)}'";
}
