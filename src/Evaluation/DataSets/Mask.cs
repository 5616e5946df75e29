namespace KernelAD.Evaluation.DataSets;

/// <summary>What came of a mask on its way to the map's size.</summary>
public enum MaskRemark
{
    /// <summary>Nothing worth saying.</summary>
    None,

    /// <summary>The mask file marks no pixel: all its values are at or below the threshold.</summary>
    Empty,

    /// <summary>The file marks pixels, but none is left after resizing: the defect is too small for the map.</summary>
    Vanished,
}

/// <summary>Which pixels of a map are anomalous.</summary>
/// <param name="Height">Number of rows.</param>
/// <param name="Width">Pixels in a row.</param>
/// <param name="Pixels">Height · Width values, row by row: 1 where anomalous, otherwise 0.</param>
/// <param name="Remark">What should be said about it.</param>
public sealed record Mask(int Height, int Width, byte[] Pixels, MaskRemark Remark);
