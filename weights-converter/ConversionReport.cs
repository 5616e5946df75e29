using KernelAD.Models;
using KernelAD.Weights;

namespace KernelAD.WeightsConverter;

/// <summary>What a conversion did.</summary>
public sealed record ConversionReport
{
    /// <summary>The model with its configuration.</summary>
    public required Model Model { get; init; }

    /// <summary>The file that was written.</summary>
    public required string OutputPath { get; init; }

    /// <summary>How each value of the configuration was found, in the order of the model's configuration; also stored in the file.</summary>
    public required IReadOnlyList<ModelNote> Notes { get; init; }

    /// <summary>The values that the tensors show.</summary>
    public IReadOnlyList<ModelNote> Inferred => [.. Notes.Where(n => n.Kind == NoteKind.Inferred)];

    /// <summary>The values that the user told.</summary>
    public IReadOnlyList<ModelNote> Told => [.. Notes.Where(n => n.Kind == NoteKind.Told)];

    /// <summary>The values that are neither in the tensors nor told.</summary>
    public IReadOnlyList<ModelNote> Assumed => [.. Notes.Where(n => n.Kind == NoteKind.Assumed)];

    /// <summary>Keys of the checkpoint that the model does not use.</summary>
    public required IReadOnlyList<string> SkippedKeys { get; init; }

    /// <summary>What the user should know, one sentence each.</summary>
    public required IReadOnlyList<string> Warnings { get; init; }

    /// <summary>Number of tensors written.</summary>
    public required int Tensors { get; init; }

    /// <summary>Number of values written.</summary>
    public required long Parameters { get; init; }
}
