namespace KernelAD.Emulator;

/// <summary>The parts of an instruction's name that have not been understood yet. What is left in the end is not supported.</summary>
internal sealed class Modifiers
{
    private readonly List<string> _parts;

    /// <summary>Takes a name apart.</summary>
    /// <param name="name">The opcode with its modifiers.</param>
    public Modifiers(string name)
    {
        _parts = [.. name.Split('.')];
        Opcode = _parts[0];
        _parts.RemoveAt(0);
    }

    /// <summary>The opcode.</summary>
    public string Opcode { get; }

    /// <summary>The parts that are left, for messages.</summary>
    public string Rest => string.Concat(_parts.Select(part => $".{part}"));

    /// <summary>Whether nothing is left.</summary>
    public bool IsEmpty => _parts.Count == 0;

    /// <summary>Takes a modifier if it is there.</summary>
    /// <param name="name">The modifier.</param>
    public bool Take(string name) => _parts.Remove(name);

    /// <summary>Takes the first of several modifiers that is there.</summary>
    /// <param name="names">The modifiers.</param>
    /// <returns>Null if none is there.</returns>
    public string? TakeAny(params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            if (Take(name))
            {
                return name;
            }
        }

        return null;
    }

    /// <summary>Takes the first modifier that is a type.</summary>
    /// <returns>No type if there is none.</returns>
    public PtxType TakeType()
    {
        int index = _parts.FindIndex(part => PtxTypes.Parse(part) != PtxType.None);
        if (index < 0)
        {
            return PtxType.None;
        }

        PtxType type = PtxTypes.Parse(_parts[index]);
        _parts.RemoveAt(index);
        return type;
    }

    /// <summary>Drops modifiers that do not matter here.</summary>
    /// <param name="isHint">Whether a modifier is one of them.</param>
    public void Drop(Predicate<string> isHint) => _parts.RemoveAll(isHint);
}
