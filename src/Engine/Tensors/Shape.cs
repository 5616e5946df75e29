using System.Collections.Immutable;
using System.Globalization;

namespace KernelAD.Tensors;

/// <summary>Extents of a dense row-major tensor, outermost first. Immutable; equality is by value.</summary>
public readonly struct Shape : IEquatable<Shape>
{
    private readonly ImmutableArray<int> _extents;

    /// <summary>Creates a shape; an empty list is a scalar.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An extent is negative.</exception>
    public Shape(params ReadOnlySpan<int> extents)
    {
        foreach (int extent in extents)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(extent);
        }

        _extents = [.. extents];
    }

    /// <summary>Number of dimensions.</summary>
    public int Rank => Extents.Length;

    /// <summary>The extents, outermost first.</summary>
    public ReadOnlySpan<int> Extents => _extents.IsDefault ? [] : _extents.AsSpan();

    /// <summary>Number of elements: the product of the extents, 1 for a scalar.</summary>
    public long Count
    {
        get
        {
            long count = 1;
            foreach (int extent in Extents)
            {
                count = checked(count * extent);
            }

            return count;
        }
    }

    /// <summary>Extent of one dimension; negative indices count from the last.</summary>
    public int this[int dimension] => Extents[dimension < 0 ? Rank + dimension : dimension];

    /// <summary>All extents but the last multiplied together: the number of rows when the tensor is read as a matrix.</summary>
    public long Rows => Rank == 0 ? 1 : this[-1] == 0 ? 0 : Count / this[-1];

    /// <summary>The same shape with one extent replaced.</summary>
    public Shape With(int dimension, int extent)
    {
        int[] extents = Extents.ToArray();
        extents[dimension < 0 ? Rank + dimension : dimension] = extent;
        return new Shape(extents);
    }

    /// <inheritdoc/>
    public bool Equals(Shape other) => Extents.SequenceEqual(other.Extents);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Shape other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        HashCode hash = default;
        foreach (int extent in Extents)
        {
            hash.Add(extent);
        }

        return hash.ToHashCode();
    }

    /// <summary>Whether two shapes are equal.</summary>
    public static bool operator ==(Shape left, Shape right) => left.Equals(right);

    /// <summary>Whether two shapes differ.</summary>
    public static bool operator !=(Shape left, Shape right) => !left.Equals(right);

    /// <summary>The usual notation, "(1, 3, 256, 256)".</summary>
    public override string ToString() =>
        "(" + string.Join(", ", Extents.ToArray().Select(e => e.ToString(CultureInfo.InvariantCulture))) + ")";
}
