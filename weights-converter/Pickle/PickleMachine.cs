using System.Globalization;
using System.Numerics;
using System.Text;

namespace KernelAD.WeightsConverter.Pickle;

/// <summary>
/// Evaluates a pickle of protocol 0–5 to plain data. Iterative, so that nesting costs no call stack; bounded in values and in copied items, so that
/// no pickle can take more than a small multiple of its own size. Names of globals are looked up in <see cref="KnownGlobals"/> and nowhere else.
/// </summary>
internal sealed class PickleMachine
{
    /// <summary>Bytes that a pickle may have: tensors are stored beside it, so that a real one is far smaller.</summary>
    public const long MaxBytes = 64L << 20;

    /// <summary>Values that a pickle may push; some 20 are needed for a tensor.</summary>
    private const long MaxValues = 2_000_000;

    private const int MaxLine = 1 << 20;
    private const int MaxIntegerBytes = 256;

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly PickleInput _in;
    private readonly Func<PickleTuple, object?> _persistent;
    private readonly List<object?> _stack = [];
    private readonly List<int> _marks = [];
    private readonly Dictionary<long, object?> _memo = [];
    private long _values;
    private long _copied;

    private PickleMachine(PickleInput input, Func<PickleTuple, object?> persistent)
    {
        _in = input;
        _persistent = persistent;
    }

    /// <summary>Evaluates the next pickle of the input.</summary>
    /// <param name="input">Positioned at its first byte; left after its STOP.</param>
    /// <param name="persistent">Resolves a persistent id, in PyTorch a storage.</param>
    /// <exception cref="PickleException">The pickle is damaged, names an unknown global, or exceeds a bound.</exception>
    public static object? Load(PickleInput input, Func<PickleTuple, object?> persistent) => new PickleMachine(input, persistent).Run();

    /// <summary>For pickles that must not hold tensors.</summary>
    public static object? NoPersistentIds(PickleTuple id) => throw new PickleException("a storage where none belongs: the file is damaged");

    private object? Run()
    {
        while (true)
        {
            byte op = _in.Byte();
            switch ((char)op)
            {
                case '.':
                    return Pop();

                // Stack and memo.
                case '(':
                    _marks.Add(_stack.Count);
                    CountValue();
                    break;
                case '0':
                    if (_marks is [.., int mark] && mark == _stack.Count)
                    {
                        _marks.RemoveAt(_marks.Count - 1);
                    }
                    else
                    {
                        Pop();
                    }

                    break;
                case '1':
                    PopMark();
                    break;
                case '2':
                    Push(Peek());
                    break;
                case 'p':
                    _memo[LineInteger()] = Peek();
                    break;
                case 'q':
                    _memo[_in.Byte()] = Peek();
                    break;
                case 'r':
                    _memo[_in.UInt32()] = Peek();
                    break;
                case '\x94':
                    _memo[_memo.Count] = Peek();
                    break;
                case 'g':
                    Push(Recall(LineInteger()));
                    break;
                case 'h':
                    Push(Recall(_in.Byte()));
                    break;
                case 'j':
                    Push(Recall(_in.UInt32()));
                    break;

                // Scalars.
                case 'N':
                    Push(null);
                    break;
                case '\x88':
                    Push(true);
                    break;
                case '\x89':
                    Push(false);
                    break;
                case 'I':
                    Push(LineText() switch { "00" => false, "01" => true, string text => Integer(text) });
                    break;
                case 'L':
                    Push(Integer(LineText().TrimEnd('L')));
                    break;
                case 'J':
                    Push((long)_in.Int32());
                    break;
                case 'K':
                    Push((long)_in.Byte());
                    break;
                case 'M':
                    Push((long)_in.UInt16());
                    break;
                case '\x8a':
                    Push(Integer(_in.Byte()));
                    break;
                case '\x8b':
                    Push(Integer(_in.UInt32()));
                    break;
                case 'F':
                    Push(double.TryParse(LineText(), NumberStyles.Float, CultureInfo.InvariantCulture, out double real)
                        ? real
                        : throw Damaged("a number that is none"));
                    break;
                case 'G':
                    Push(_in.DoubleBigEndian());
                    break;

                // Text and bytes. Escapes in the two line-based forms stay as they are: keys and class names have none.
                case 'S':
                    Push(Unquote(Encoding.Latin1.GetString(_in.Line(MaxLine))));
                    break;
                case 'V':
                    Push(Encoding.Latin1.GetString(_in.Line(MaxLine)));
                    break;
                case 'U':
                    Push(Encoding.Latin1.GetString(_in.Bytes(_in.Byte())));
                    break;
                case 'T':
                    Push(Encoding.Latin1.GetString(_in.Bytes(_in.UInt32())));
                    break;
                case '\x8c':
                    Push(Text(_in.Byte()));
                    break;
                case 'X':
                    Push(Text(_in.UInt32()));
                    break;
                case '\x8d':
                    Push(Text(_in.UInt64()));
                    break;
                case 'C':
                    Push(_in.Bytes(_in.Byte()));
                    break;
                case 'B':
                    Push(_in.Bytes(_in.UInt32()));
                    break;
                case '\x8e' or '\x96':
                    Push(_in.Bytes(_in.UInt64()));
                    break;

                // Tuples, lists, sets, dictionaries.
                case ')':
                    Push(new PickleTuple([]));
                    break;
                case '\x85':
                    Push(new PickleTuple([Pop()]));
                    break;
                case '\x86':
                    Push(new PickleTuple(PopMany(2)));
                    break;
                case '\x87':
                    Push(new PickleTuple(PopMany(3)));
                    break;
                case 't':
                    Push(new PickleTuple(PopMark()));
                    break;
                case ']' or '\x8f':
                    Push(new PickleList());
                    break;
                case 'l' or '\x91':
                    PickleList list = new();
                    list.Items.AddRange(PopMark());
                    Push(list);
                    break;
                case 'a':
                    object? element = Pop();
                    TopList().Items.Add(element);
                    break;
                case 'e' or '\x90':
                    object?[] elements = PopMark();
                    TopList().Items.AddRange(elements);
                    break;
                case '}':
                    Push(new PickleDict());
                    break;
                case 'd':
                    object?[] content = PopMark();
                    PickleDict dict = new();
                    SetItems(dict, content);
                    Push(dict);
                    break;
                case 's':
                    SetItems(PopMany(2));
                    break;
                case 'u':
                    SetItems(PopMark());
                    break;

                // Globals and objects.
                case 'c':
                    Push(KnownGlobals.Resolve(LineText(), LineText()));
                    break;
                case '\x93':
                    object?[] path = PopMany(2);
                    Push(path is [string module, string name] ? KnownGlobals.Resolve(module, name) : throw Damaged("a global without a name"));
                    break;
                case 'R':
                    object?[] call = PopMany(2);
                    Push(Call(call[0], call[1]));
                    break;
                case '\x81':
                    object?[] creation = PopMany(2);
                    Push(Call(creation[0], creation[1]));
                    break;
                case '\x92':
                    object?[] named = PopMany(3);
                    Push(Call(named[0], named[1], named[2]));
                    break;
                case 'i':
                    PickleGlobal type = KnownGlobals.Resolve(LineText(), LineText());
                    Push(Call(type, new PickleTuple(PopMark())));
                    break;
                case 'o':
                    object?[] parts = PopMark();
                    Push(parts.Length > 0 ? Call(parts[0], new PickleTuple(parts[1..])) : throw Damaged("an object without a class"));
                    break;
                case 'b':
                    object? state = Pop();
                    SetState(Peek(), state);
                    break;
                case 'P':
                    throw new PickleException("a storage is named by a line of text, which PyTorch does not do: the file is damaged");
                case 'Q':
                    Push(_persistent(Pop() as PickleTuple ?? throw Damaged("a persistent id that is not a tuple")));
                    break;

                // Framing: the frames' bytes follow in line.
                case '\x80':
                    if (_in.Byte() > 5)
                    {
                        throw new PickleException("a pickle protocol above 5: save the checkpoint with torch.save's default protocol");
                    }

                    break;
                case '\x95':
                    if (_in.UInt64() > (ulong)_in.Remaining)
                    {
                        throw new PickleException($"a frame at byte {_in.Position} is longer than the rest of the pickle: the file is damaged or cut short");
                    }

                    break;
                default:
                    throw new PickleException($"unknown or unsupported pickle instruction 0x{op:x2} at byte {_in.Position - 1}: the file is damaged");
            }
        }
    }

    private object? Call(object? callee, object? arguments, object? named = null)
    {
        if (callee is not PickleGlobal global || arguments is not PickleTuple tuple)
        {
            throw Damaged("a call of something that is not a known global");
        }

        object? result = KnownGlobals.Call(global, tuple.Items, Charge);
        if (result is PickleOpaque { Type: "numpy.dtype" } type)
        {
            type.State = tuple;
        }
        else if (named is PickleDict values && result is PickleDict { AttributesAreItems: true })
        {
            SetState(result, values);
        }

        return result;
    }

    /// <summary>What BUILD does: attributes become items where they are the content, and are dropped elsewhere.</summary>
    private void SetState(object? target, object? state)
    {
        switch (target)
        {
            case PickleDict { AttributesAreItems: true } dict when state is PickleDict attributes && !ReferenceEquals(dict, attributes):
                Charge(attributes.Items.Count);
                foreach ((object key, object? value) in attributes.Items)
                {
                    dict.Set(key, value);
                }

                break;
            case PickleOpaque { Type: "numpy.dtype", State: PickleTuple { Items: [string code, ..] } } type:
                type.State = new PickleTuple([code, state]);
                break;
            default:
                break;
        }
    }

    private void SetItems(object?[] pairs)
    {
        if (Peek() is not PickleDict dict)
        {
            throw Damaged("items for something that is not a dictionary");
        }

        SetItems(dict, pairs);
    }

    private void SetItems(PickleDict dict, object?[] pairs)
    {
        if (pairs.Length % 2 != 0)
        {
            throw Damaged("a key without a value");
        }

        for (int i = 0; i < pairs.Length; i += 2)
        {
            // None may be a key in Python; a key of that kind is never looked up.
            dict.Set(pairs[i] ?? DBNull.Value, pairs[i + 1]);
        }
    }

    private PickleList TopList() => Peek() as PickleList ?? throw Damaged("elements for something that is not a list");

    private void Push(object? value)
    {
        CountValue();
        _stack.Add(value);
    }

    private void CountValue()
    {
        if (++_values > MaxValues)
        {
            throw new PickleException($"more than {MaxValues:N0} values in the pickle: this is not a checkpoint of weights");
        }
    }

    private void Charge(long items)
    {
        _copied += items;
        if (_copied > MaxValues)
        {
            throw new PickleException($"the pickle copies more than {MaxValues:N0} items: this is not a checkpoint of weights");
        }
    }

    private object? Peek() => _stack.Count > Floor ? _stack[^1] : throw Damaged("an empty stack");

    private object? Pop()
    {
        object? value = Peek();
        _stack.RemoveAt(_stack.Count - 1);
        return value;
    }

    private object?[] PopMany(int count)
    {
        if (_stack.Count - Floor < count)
        {
            throw Damaged("an empty stack");
        }

        return Cut(_stack.Count - count);
    }

    private object?[] PopMark()
    {
        if (_marks.Count == 0)
        {
            throw Damaged("a missing mark");
        }

        int start = _marks[^1];
        _marks.RemoveAt(_marks.Count - 1);
        return Cut(start);
    }

    private object?[] Cut(int start)
    {
        object?[] values = [.. _stack[start..]];
        _stack.RemoveRange(start, values.Length);
        return values;
    }

    /// <summary>Values below the last mark are out of reach until the mark is popped.</summary>
    private int Floor => _marks.Count > 0 ? _marks[^1] : 0;

    private object? Recall(long index) => _memo.TryGetValue(index, out object? value) ? value : throw Damaged($"memo entry {index}, which was never stored,");

    private string LineText() => Encoding.Latin1.GetString(_in.Line(MaxLine));

    private long LineInteger() => Integer(LineText()) is long value ? value : throw Damaged("an index that is no integer");

    private object Integer(string text)
    {
        // Decimal conversion of long numbers takes quadratic time.
        if (text.Length > MaxIntegerBytes || !BigInteger.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out BigInteger value))
        {
            throw Damaged("an integer that is none");
        }

        return Narrow(value);
    }

    private object Integer(uint byteCount) =>
        byteCount <= MaxIntegerBytes ? Narrow(new BigInteger(_in.Bytes(byteCount))) : throw Damaged($"an integer of {byteCount} bytes");

    private static object Narrow(BigInteger value)
    {
        if (value < long.MinValue || value > long.MaxValue)
        {
            return value;
        }

        long narrow = (long)value;
        return narrow;
    }

    private string Text(ulong byteCount)
    {
        try
        {
            return Utf8.GetString(_in.Bytes(byteCount));
        }
        catch (DecoderFallbackException)
        {
            throw Damaged("text that is not UTF-8");
        }
    }

    private string Unquote(string text) =>
        text.Length >= 2 && text[0] is '\'' or '"' && text[^1] == text[0] ? text[1..^1] : throw Damaged("text without quotes");

    private PickleException Damaged(string what) => new($"{what} near byte {_in.Position} of the pickle: the file is damaged");
}
