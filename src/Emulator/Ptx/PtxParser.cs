using System.Buffers.Binary;
using System.Globalization;
using KernelAD.Interop;

namespace KernelAD.Emulator;

/// <summary>Reads PTX text (PTX ISA, chapters "Syntax" and "Directives"): everything but device functions and textures.</summary>
internal sealed class PtxParser
{
    private const int MaxNesting = 64;
    private const long MaxVariableBytes = 1L << 31;

    /// <summary>Modules before this version name registers and special registers differently.</summary>
    private const int OldestMajorVersion = 6;

    private const int NewestMajorVersion = 9;

    private readonly string _module;
    private readonly EmulatedTarget _target;
    private readonly List<PtxToken> _tokens;
    private readonly Dictionary<string, PtxVariable> _moduleVariables = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _files = new(StringComparer.Ordinal);
    private readonly List<Scope> _scopes = [];
    private PtxEntry? _entry;
    private int _position;
    private int _registers;
    private string? _source;

    private PtxParser(string module, string text, EmulatedTarget target)
    {
        _module = module;
        _target = target;
        _tokens = PtxLexer.Tokenize(module, text);
    }

    /// <summary>The kernels in the order of the text.</summary>
    public List<PtxEntry> Entries { get; } = [];

    private PtxToken Current => _tokens[_position];

    /// <summary>Reads a module.</summary>
    /// <param name="module">The module's name, for errors.</param>
    /// <param name="text">The PTX text.</param>
    /// <param name="target">The device that is to run it.</param>
    public static List<PtxEntry> Parse(string module, string text, EmulatedTarget target)
    {
        PtxParser parser = new(module, text, target);
        parser.ParseHeader();
        while (parser.Current.Kind != PtxTokenKind.End)
        {
            parser.ParseModuleStatement();
        }

        return parser.Entries;
    }

    private PtxException Unexpected(string expected) => Unexpected(Current, expected);

    private PtxException Unexpected(PtxToken token, string expected) => new(_module, token.Line, token.ToString(), expected);

    private PtxToken Take() => _tokens[_position < _tokens.Count - 1 ? _position++ : _position];

    private bool Is(char punctuation) => Current.Kind == PtxTokenKind.Punctuation && Current.Text[0] == punctuation;

    private bool TryTake(char punctuation)
    {
        if (!Is(punctuation))
        {
            return false;
        }

        Take();
        return true;
    }

    private void Expect(char punctuation)
    {
        if (!TryTake(punctuation))
        {
            throw Unexpected($"'{punctuation}'");
        }
    }

    private string TakeWord(string expected) => Current.Kind == PtxTokenKind.Word ? Take().Text : throw Unexpected(expected);

    private string TakeName(string expected)
    {
        PtxToken token = Current;
        string name = TakeWord(expected);
        return name[0] == '.' || name.Contains('.', StringComparison.Ordinal) ? throw Unexpected(token, expected) : name;
    }

    private long TakeCount(string expected, long max)
    {
        PtxToken token = Current;
        return token.Kind == PtxTokenKind.Number && TryParseInteger(Take().Text, out ulong value) && value <= (ulong)max
            ? (long)value
            : throw Unexpected(token, expected);
    }

    private void ParseHeader()
    {
        if (Current.Text != ".version")
        {
            throw Unexpected("'.version' at the module's start");
        }

        Take();
        PtxToken version = Take();
        string[] numbers = version.Text.Split('.');
        if (version.Kind != PtxTokenKind.Number || numbers.Length != 2 || !int.TryParse(numbers[0], NumberStyles.None, CultureInfo.InvariantCulture, out int major)
            || !int.TryParse(numbers[1], NumberStyles.None, CultureInfo.InvariantCulture, out _))
        {
            throw Unexpected(version, "a version such as '7.0'");
        }

        if (major is < OldestMajorVersion or > NewestMajorVersion)
        {
            throw new PtxException(
                _module, version.Line, $"version {version.Text}", $"version {OldestMajorVersion}.0 to {NewestMajorVersion}.x", CudaModuleFault.UnsupportedPtxVersion);
        }

        if (Current.Text != ".target")
        {
            throw Unexpected("'.target'");
        }

        Take();
        do
        {
            PtxToken token = Current;
            string name = TakeWord("an architecture such as 'sm_80'");
            if (name is "debug" or "texmode_unified" or "texmode_independent")
            {
                continue;
            }

            if (!name.StartsWith("sm_", StringComparison.Ordinal) || !int.TryParse(name.AsSpan(3), NumberStyles.None, CultureInfo.InvariantCulture, out int number))
            {
                throw Unexpected(token, "an architecture such as 'sm_80'");
            }

            if (number > _target.Number)
            {
                throw new PtxException(_module, token.Line, $"target {name}", $"{_target.Name} or older", CudaModuleFault.WrongArchitecture);
            }
        }
        while (TryTake(','));
    }

    private void ParseModuleStatement()
    {
        PtxToken token = Current;
        switch (token.Text)
        {
            case ".address_size":
                Take();
                if (TakeCount("64", 64) != 64)
                {
                    throw Unexpected(token, "an address size of 64");
                }

                break;
            case ".file":
                ParseFile();
                break;
            case ".loc":
                ParseLocation();
                break;
            case ".section":
                SkipSection();
                break;
            case ".visible" or ".weak" or ".extern":
                Take();
                break;
            case ".entry":
                ParseEntry();
                break;
            case ".shared" or ".global" or ".const":
                foreach (PtxVariable variable in ParseVariables())
                {
                    if (!_moduleVariables.TryAdd(variable.Name, variable))
                    {
                        throw Unexpected(token, $"a name other than '{variable.Name}', which is declared already");
                    }
                }

                break;
            default:
                throw Unexpected("an '.entry' or a '.shared', '.global' or '.const' variable");
        }
    }

    private void ParseFile()
    {
        Take();
        PtxToken number = Take();
        PtxToken name = Take();
        if (number.Kind != PtxTokenKind.Number || name.Kind != PtxTokenKind.Text)
        {
            throw Unexpected(number, "a file's number and its name in quotes");
        }

        _files[number.Text] = name.Text;
        while (TryTake(','))
        {
            TakeCount("a number", long.MaxValue);
        }
    }

    private void ParseLocation()
    {
        Take();
        PtxToken file = Take();
        PtxToken line = Take();
        PtxToken column = Take();
        if (file.Kind != PtxTokenKind.Number || line.Kind != PtxTokenKind.Number || column.Kind != PtxTokenKind.Number)
        {
            throw Unexpected(file, "numbers of file, line and column");
        }

        _source = _files.TryGetValue(file.Text, out string? name) ? $"{name}:{line.Text}" : null;
        if (TryTake(',')) // function_name and inlined_at: not needed to find the line.
        {
            int last = line.Line;
            while (Current.Line == last && Current.Kind != PtxTokenKind.End)
            {
                Take();
            }
        }
    }

    private void SkipSection()
    {
        Take();
        TakeWord("a section's name");
        Expect('{');
        while (!TryTake('}'))
        {
            if (Take().Kind == PtxTokenKind.End)
            {
                throw Unexpected("'}' at the section's end");
            }
        }
    }

    private List<PtxVariable> ParseVariables()
    {
        PtxToken start = Take();
        PtxSpace space = start.Text switch
        {
            ".shared" => PtxSpace.Shared,
            ".global" => PtxSpace.Global,
            ".const" => PtxSpace.Constant,
            ".local" => PtxSpace.Local,
            _ => PtxSpace.Parameter,
        };
        int alignment = 0;
        int lanes = 1;
        PtxType type = PtxType.None;
        while (Current.Kind == PtxTokenKind.Word && Current.Text[0] == '.')
        {
            PtxToken token = Take();
            switch (token.Text)
            {
                case ".align":
                    alignment = (int)TakeCount("an alignment", 1 << 16);
                    if (alignment == 0 || (alignment & (alignment - 1)) != 0)
                    {
                        throw Unexpected(token, "an alignment that is a power of two");
                    }

                    break;
                case ".v2":
                    lanes = 2;
                    break;
                case ".v4":
                    lanes = 4;
                    break;
                case ".ptr" or ".global" or ".shared" or ".const" or ".local" when space == PtxSpace.Parameter: // What a pointer parameter points to.
                    break;
                default:
                    type = PtxTypes.Parse(token.Text[1..]);
                    if (type.Size() == 0)
                    {
                        throw Unexpected(token, "a variable's type");
                    }

                    break;
            }
        }

        if (type == PtxType.None)
        {
            throw Unexpected("a variable's type");
        }

        List<PtxVariable> variables = [];
        do
        {
            int line = Current.Line;
            string name = TakeName("a variable's name");
            long size = type.Size() * lanes;
            bool isOpen = false;
            while (TryTake('['))
            {
                if (TryTake(']'))
                {
                    isOpen = true;
                    continue;
                }

                PtxToken count = Current;
                long elements = TakeCount("a number of elements", MaxVariableBytes);
                size = elements * size <= MaxVariableBytes ? elements * size : throw Unexpected(count, "fewer elements");
                Expect(']');
            }

            byte[]? initial = null;
            if (TryTake('='))
            {
                if (space is not (PtxSpace.Global or PtxSpace.Constant))
                {
                    throw Unexpected("no initial value: only '.global' and '.const' variables have one");
                }

                List<byte> bytes = [];
                ParseInitialValue(type, bytes, 0);
                size = isOpen ? bytes.Count : size;
                if (bytes.Count > size)
                {
                    throw Unexpected($"at most {size} bytes of initial values");
                }

                initial = [.. bytes];
            }
            else if (isOpen)
            {
                size = space == PtxSpace.Shared ? 0 : throw Unexpected("a number of elements");
            }

            variables.Add(new(name, space, Math.Max(alignment == 0 ? type.Size() * lanes : alignment, type.Size()), size, line) { Initial = initial });
        }
        while (space != PtxSpace.Parameter && TryTake(','));
        if (space != PtxSpace.Parameter)
        {
            Expect(';');
        }

        return variables;
    }

    private void ParseInitialValue(PtxType type, List<byte> bytes, int depth)
    {
        if (depth > MaxNesting)
        {
            throw Unexpected($"at most {MaxNesting} nested braces");
        }

        if (TryTake('{'))
        {
            do
            {
                ParseInitialValue(type, bytes, depth + 1);
            }
            while (TryTake(','));
            Expect('}');
            return;
        }

        PtxToken token = Current;
        PtxOperand value = ParseOperand();
        ulong bits = value.Kind switch
        {
            PtxOperandKind.Integer when !type.IsFloat() => value.Bits,
            PtxOperandKind.Float or PtxOperandKind.Integer when type == PtxType.F32 => value.SingleBits ?? BitConverter.SingleToUInt32Bits((float)value.Number),
            PtxOperandKind.Float or PtxOperandKind.Integer when type == PtxType.F64 => BitConverter.DoubleToUInt64Bits(value.Number),
            _ => throw Unexpected(token, "a number of the variable's type"),
        };
        Span<byte> buffer = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(buffer, bits);
        bytes.AddRange(buffer[..Math.Min(type.Size(), sizeof(ulong))]);
    }

    private void ParseEntry()
    {
        int line = Take().Line;
        PtxToken token = Current;
        PtxEntry entry = new(TakeName("a kernel's name"), line);
        if (Entries.Exists(other => other.Name == entry.Name))
        {
            throw Unexpected(token, "a kernel's name that is not used yet");
        }

        Scope scope = new();
        if (TryTake('(') && !TryTake(')'))
        {
            long bytes = 0;
            do
            {
                if (Current.Text != ".param")
                {
                    throw Unexpected("'.param'");
                }

                PtxVariable parameter = ParseVariables()[0];
                parameter.Offset = (bytes + parameter.Alignment - 1) / parameter.Alignment * parameter.Alignment;
                bytes = parameter.Offset + parameter.Size;
                if (bytes > EmulatedTarget.MaxParameterBytes)
                {
                    throw Unexpected($"at most {EmulatedTarget.MaxParameterBytes} bytes of parameters");
                }

                Declare(scope, parameter);
                entry.Parameters.Add(parameter);
            }
            while (TryTake(','));
            Expect(')');
        }

        ParseTuning(entry);
        Expect('{');
        _source = null;
        _entry = entry;
        _registers = 0;
        _scopes.Clear();
        _scopes.Add(scope);
        ParseBody(entry);
        Entries.Add(entry);
    }

    private void ParseTuning(PtxEntry entry)
    {
        while (Current.Kind == PtxTokenKind.Word)
        {
            PtxToken token = Take();
            switch (token.Text)
            {
                case ".maxntid" or ".reqntid":
                    int[] extent = [1, 1, 1];
                    int dimension = 0;
                    do
                    {
                        if (dimension == extent.Length)
                        {
                            throw Unexpected("at most three extents");
                        }

                        extent[dimension++] = (int)TakeCount("a number of threads", EmulatedTarget.MaxThreadsPerBlock);
                    }
                    while (TryTake(','));
                    entry.MaxThreads = extent;
                    entry.AreThreadsRequired = token.Text == ".reqntid";
                    break;
                case ".minnctapersm" or ".maxnctapersm" or ".maxnreg":
                    TakeCount("a number", 1 << 16);
                    break;
                case ".pragma":
                    SkipPragma();
                    break;
                default:
                    throw Unexpected(token, "'{' or a directive such as '.maxntid'");
            }
        }
    }

    private void SkipPragma()
    {
        do
        {
            if (Take().Kind != PtxTokenKind.Text)
            {
                throw Unexpected("a pragma in quotes");
            }
        }
        while (TryTake(','));
        Expect(';');
    }

    private void ParseBody(PtxEntry entry)
    {
        while (_scopes.Count > 0)
        {
            if (TryTake('}'))
            {
                CloseScope(entry);
            }
            else if (TryTake('{'))
            {
                if (_scopes.Count > MaxNesting)
                {
                    throw Unexpected($"at most {MaxNesting} nested braces");
                }

                _scopes.Add(new());
            }
            else if (!TryTake(';'))
            {
                ParseStatement(entry);
            }
        }
    }

    /// <summary>Branches to labels that the scope does not have may mean labels of the scope around it.</summary>
    private void CloseScope(PtxEntry entry)
    {
        Scope scope = _scopes[^1];
        _scopes.RemoveAt(_scopes.Count - 1);
        foreach ((PtxInstruction branch, string label) in scope.Branches)
        {
            if (scope.Labels.TryGetValue(label, out int target))
            {
                branch.Target = target;
            }
            else if (_scopes.Count > 0)
            {
                _scopes[^1].Branches.Add((branch, label));
            }
            else
            {
                throw new PtxException(_module, branch.Line, $"a branch to '{label}'", $"a label in kernel '{entry.Name}'");
            }
        }
    }

    private void ParseStatement(PtxEntry entry)
    {
        PtxToken token = Current;
        switch (token.Text)
        {
            case ".reg":
                ParseRegisters();
                return;
            case ".shared" or ".local":
                foreach (PtxVariable variable in ParseVariables())
                {
                    Declare(_scopes[^1], variable);
                    entry.Variables.Add(variable);
                }

                return;
            case ".loc":
                ParseLocation();
                return;
            case ".pragma":
                Take();
                SkipPragma();
                return;
        }

        if (token.Kind == PtxTokenKind.Word && _tokens[_position + 1] is { Kind: PtxTokenKind.Punctuation, Text: ":" })
        {
            string label = TakeName("a label");
            Take();
            if (!_scopes[^1].Labels.TryAdd(label, entry.Instructions.Count))
            {
                throw Unexpected(token, "a label that is not used yet");
            }

            return;
        }

        ParseInstruction(entry);
    }

    private void ParseRegisters()
    {
        Take();
        PtxToken token = Current;
        PtxType type = PtxTypes.Parse(TakeWord("a register's type").TrimStart('.'));
        if (type == PtxType.None || type is PtxType.B8 or PtxType.U8 or PtxType.S8 or PtxType.B128)
        {
            throw Unexpected(token, "a register's type of 16, 32 or 64 bits, or '.pred'");
        }

        do
        {
            token = Current;
            string name = TakeName("a register's name");
            long count = -1;
            if (TryTake('<'))
            {
                count = TakeCount("a number of registers", int.MaxValue);
                Expect('>');
            }

            if (!_scopes[^1].Registers.TryAdd(name, (type, count)))
            {
                throw Unexpected(token, "a register's name that is not used yet");
            }
        }
        while (TryTake(','));
        Expect(';');
    }

    private void ParseInstruction(PtxEntry entry)
    {
        int line = Current.Line;
        PtxRegister? guard = null;
        bool isNegated = false;
        if (TryTake('@'))
        {
            isNegated = TryTake('!');
            PtxToken token = Current;
            guard = ParseOperand().Register;
            if (guard?.Type != PtxType.Predicate)
            {
                throw Unexpected(token, "a predicate register");
            }
        }

        PtxToken opcode = Current;
        string name = TakeWord("an instruction");
        if (!char.IsAsciiLetter(name[0]))
        {
            throw Unexpected(opcode, "an instruction");
        }

        List<PtxOperand> operands = [];
        string? label = null;
        if (name is "bra" or "bra.uni")
        {
            label = TakeName("a label");
        }
        else if (!Is(';'))
        {
            do
            {
                operands.Add(ParseOperand());
            }
            while (TryTake(','));
        }

        Expect(';');
        PtxInstruction instruction = new(name, operands, line, _source) { Guard = guard, IsGuardNegated = isNegated };
        if (label is not null)
        {
            _scopes[^1].Branches.Add((instruction, label));
        }

        entry.Instructions.Add(instruction);
    }

    private PtxOperand ParseOperand()
    {
        PtxOperand operand = ParseSimpleOperand();
        if (!TryTake('|'))
        {
            return operand;
        }

        return new(PtxOperandKind.Pair) { Elements = [operand, ParseSimpleOperand()] };
    }

    private PtxOperand ParseSimpleOperand()
    {
        PtxToken token = Current;
        if (TryTake('{'))
        {
            List<PtxOperand> elements = [];
            do
            {
                if (Is('{') || Is('['))
                {
                    throw Unexpected("a register or a number");
                }

                elements.Add(ParseSimpleOperand());
            }
            while (TryTake(','));
            Expect('}');
            return new(PtxOperandKind.Vector) { Elements = elements };
        }

        if (TryTake('['))
        {
            return ParseAddress();
        }

        if (TryTake('!'))
        {
            PtxToken name = Current;
            PtxOperand negated = ResolveName(name, TakeWord("a predicate register"));
            return negated.Register?.Type == PtxType.Predicate ? negated with { IsNegated = true } : throw Unexpected(name, "a predicate register");
        }

        return token.Kind == PtxTokenKind.Word ? ResolveName(token, Take().Text) : ParseNumber();
    }

    private PtxOperand ParseAddress()
    {
        PtxRegister? register = null;
        PtxVariable? variable = null;
        ulong offset = 0;
        PtxToken token = Current;
        if (token.Kind == PtxTokenKind.Word)
        {
            PtxOperand place = ResolveName(token, Take().Text);
            register = place.Register;
            variable = place.Variable;
            if ((register is null && variable is null) || register?.Type is PtxType.Predicate || register?.Type.Size() == 2)
            {
                throw Unexpected(token, "a 32-bit or 64-bit register, or a variable");
            }
        }
        else
        {
            offset = ParseInteger();
        }

        while (Is('+') || Is('-'))
        {
            bool isMinus = Take().Text == "-";
            ulong value = ParseInteger();
            offset = unchecked(isMinus ? offset - value : offset + value);
        }

        Expect(']');
        return new(PtxOperandKind.Address) { Register = register, Variable = variable, Bits = offset };
    }

    private ulong ParseInteger()
    {
        PtxToken token = Current;
        PtxOperand number = ParseNumber();
        return number.Kind == PtxOperandKind.Integer ? number.Bits : throw Unexpected(token, "an integer");
    }

    private PtxOperand ParseNumber()
    {
        bool isMinus = TryTake('-');
        if (!isMinus)
        {
            TryTake('+');
        }

        PtxToken token = Current;
        if (token.Kind != PtxTokenKind.Number)
        {
            throw Unexpected("a register, a variable or a number");
        }

        string text = Take().Text;
        if (text.Length == 10 && text[0] == '0' && text[1] is 'f' or 'F'
            && uint.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint single))
        {
            single ^= isMinus ? 0x8000_0000u : 0;
            return new(PtxOperandKind.Float) { SingleBits = single, Number = BitConverter.UInt32BitsToSingle(single) };
        }

        if (text.Length == 18 && text[0] == '0' && text[1] is 'd' or 'D'
            && ulong.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong bits))
        {
            return new(PtxOperandKind.Float) { Number = BitConverter.UInt64BitsToDouble(bits ^ (isMinus ? 1UL << 63 : 0)) };
        }

        if (TryParseInteger(text, out ulong value))
        {
            value = unchecked(isMinus ? 0 - value : value);
            return new(PtxOperandKind.Integer) { Bits = value, Number = isMinus ? (long)value : value };
        }

        return text.Any(c => c is '.' or 'e' or 'E') && !text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
            ? new(PtxOperandKind.Float) { Number = isMinus ? -number : number }
            : throw Unexpected(token, "a number");
    }

    /// <summary>Decimal, hexadecimal, octal and binary integers, each with or without U (PTX ISA, "Integer Constants").</summary>
    private static bool TryParseInteger(string text, out ulong value)
    {
        ReadOnlySpan<char> digits = text.AsSpan().TrimEnd('U');
        if (digits.Length > 2 && digits[0] == '0' && digits[1] is 'x' or 'X')
        {
            return ulong.TryParse(digits[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
        }

        if (digits.Length > 2 && digits[0] == '0' && digits[1] is 'b' or 'B')
        {
            return ulong.TryParse(digits[2..], NumberStyles.AllowBinarySpecifier, CultureInfo.InvariantCulture, out value);
        }

        if (digits.Length <= 1 || digits[0] != '0')
        {
            return ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out value);
        }

        value = 0;
        foreach (char digit in digits)
        {
            if (digit is < '0' or > '7' || value >> 61 != 0)
            {
                return false;
            }

            value = (value << 3) | (uint)(digit - '0');
        }

        return true;
    }

    private PtxOperand ResolveName(PtxToken token, string name)
    {
        if (name == "_")
        {
            return new(PtxOperandKind.Sink);
        }

        for (int depth = _scopes.Count - 1; depth >= 0; depth--)
        {
            Scope scope = _scopes[depth];
            if (scope.Find(name, ref _registers) is PtxRegister register)
            {
                _entry!.Registers = _registers;
                return new(PtxOperandKind.Register) { Register = register };
            }

            if (scope.Variables.TryGetValue(name, out PtxVariable? variable))
            {
                return new(PtxOperandKind.Symbol) { Name = name, Variable = variable };
            }
        }

        if (_moduleVariables.TryGetValue(name, out PtxVariable? shared))
        {
            _entry?.ModuleVariables.Add(shared);
            return new(PtxOperandKind.Symbol) { Name = name, Variable = shared };
        }

        return name[0] == '%' || name == "WARP_SZ"
            ? new(PtxOperandKind.Special) { Name = name }
            : throw Unexpected(token, "the name of a declared register or variable");
    }

    private void Declare(Scope scope, PtxVariable variable)
    {
        if (!scope.Variables.TryAdd(variable.Name, variable))
        {
            throw new PtxException(_module, variable.Line, $"'{variable.Name}'", "a name that is not declared yet");
        }
    }

    /// <summary>What a pair of braces declares.</summary>
    private sealed class Scope
    {
        private readonly Dictionary<string, PtxRegister> _used = new(StringComparer.Ordinal);

        /// <summary>Registers by name, or by the part before the number and the numbers' count; a count of -1 stands for a single register.</summary>
        public Dictionary<string, (PtxType Type, long Count)> Registers { get; } = new(StringComparer.Ordinal);

        public Dictionary<string, PtxVariable> Variables { get; } = new(StringComparer.Ordinal);

        public Dictionary<string, int> Labels { get; } = new(StringComparer.Ordinal);

        public List<(PtxInstruction Branch, string Label)> Branches { get; } = [];

        /// <summary>Finds a register; only those that are used come into being, so that a declaration of a billion costs nothing.</summary>
        public PtxRegister? Find(string name, ref int count)
        {
            if (_used.TryGetValue(name, out PtxRegister? register))
            {
                return register;
            }

            PtxType type = PtxType.None;
            if (Registers.TryGetValue(name, out (PtxType Type, long Count) single) && single.Count < 0)
            {
                type = single.Type;
            }
            else
            {
                int digits = name.Length;
                while (digits > 0 && char.IsAsciiDigit(name[digits - 1]))
                {
                    digits--;
                }

                // A prefix may itself end in digits, as in ".reg .f32 %v2_<4>" against ".reg .f32 %v<4>": try every split.
                for (int split = digits; split < name.Length && type == PtxType.None; split++)
                {
                    if (Registers.TryGetValue(name[..split], out (PtxType Type, long Count) range)
                        && int.TryParse(name.AsSpan(split), NumberStyles.None, CultureInfo.InvariantCulture, out int index) && index < range.Count)
                    {
                        type = range.Type;
                    }
                }
            }

            if (type == PtxType.None)
            {
                return null;
            }

            register = new(name, type, count++);
            _used.Add(name, register);
            return register;
        }
    }
}
