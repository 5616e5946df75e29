using System.Globalization;
using System.Text;

namespace KernelAD.Emulator.Tests;

/// <summary>Random structured programs, executed by the emulator for all threads and by plain C# for one thread after another.</summary>
public sealed class RandomProgramTests
{
    private const int Variables = 12;
    private const int Threads = 75;

    [Test]
    public void Every_thread_of_a_random_program_computes_what_it_would_alone([Range(1, 40)] int seed)
    {
        Program program = new(new Random(seed));
        using PtxDevice device = new();
        ulong output = device.Allocate<uint>(Threads * Variables);
        device.Run(PtxDevice.Kernel(PtxDevice.Module(".param .u64 out", program.Text)), new(1), new(Threads), 0, output);

        uint[] results = device.Download<uint>(output, Threads * Variables);
        for (int thread = 0; thread < Threads; thread++)
        {
            uint[] expected = program.Run((uint)thread);
            Assert.That(results[(thread * Variables)..((thread + 1) * Variables)], Is.EqualTo(expected), $"thread {thread} of\n{program.Text}");
        }
    }

    /// <summary>A program as PTX and as delegates that do the same to one thread's variables.</summary>
    private sealed class Program
    {
        private const int MaxDepth = 4;

        private readonly Random _random;
        private readonly StringBuilder _text = new();
        private readonly Action<uint[]> _body;
        private int _labels;
        private int _temporaries = 30;

        public Program(Random random)
        {
            _random = random;
            Line("ld.param.u64 %rd1, [out];");
            Line("mov.u32 %r90, %tid.x;");
            for (int i = 0; i < Variables; i++)
            {
                Line($"mad.lo.u32 %r{i}, %r90, {(2 * i) + 1}, {i};");
            }

            _body = Block(MaxDepth, null);
            Line($"mul.wide.u32 %rd2, %r90, {4 * Variables};");
            Line("add.s64 %rd1, %rd1, %rd2;");
            for (int i = 0; i < Variables; i++)
            {
                Line($"st.global.u32 [%rd1+{4 * i}], %r{i};");
            }
        }

        public string Text => _text.ToString();

        public uint[] Run(uint thread)
        {
            uint[] values = [.. Enumerable.Range(0, Variables).Select(i => (uint)((thread * ((2 * i) + 1)) + i))];
            _body(values);
            return values;
        }

        private void Line(string text) => _text.AppendLine(text);

        private int Variable() => _random.Next(Variables);

        private string Label() => string.Create(CultureInfo.InvariantCulture, $"L{_labels++}");

        private Action<uint[]> Block(int depth, string? exit)
        {
            List<Action<uint[]>> statements = [];
            for (int count = _random.Next(2, 7); count > 0; count--)
            {
                statements.Add(Statement(depth, exit));
            }

            return values =>
            {
                foreach (Action<uint[]> statement in statements)
                {
                    statement(values);
                }
            };
        }

        private Action<uint[]> Statement(int depth, string? exit) => _random.Next(depth > 0 ? 8 : 5) switch
        {
            0 => Move(),
            1 or 2 => Compute(),
            3 => Guarded(),
            4 => exit is null ? Compute() : Break(exit),
            5 or 6 => If(depth - 1, exit),
            _ => Loop(depth - 1),
        };

        private Action<uint[]> Move()
        {
            (int d, int a) = (Variable(), Variable());
            Line($"mov.u32 %r{d}, %r{a};");
            return values => values[d] = values[a];
        }

        private Action<uint[]> Compute()
        {
            (int d, int a, int b) = (Variable(), Variable(), Variable());
            int temporary = _temporaries++ % 20 + 30;
            switch (_random.Next(3))
            {
                case 0:
                    Line($"add.u32 %r{d}, %r{a}, %r{b};");
                    return values => values[d] = values[a] + values[b];
                case 1:
                    Line($"xor.b32 %r{temporary}, %r{a}, %r{b};");
                    Line($"mov.u32 %r{temporary + 20}, %r{temporary};");
                    Line($"shr.u32 %r{d}, %r{temporary + 20}, 1;");
                    return values => values[d] = (values[a] ^ values[b]) >> 1;
                default:
                    Line($"mad.lo.u32 %r{d}, %r{a}, 5, %r{b};");
                    return values => values[d] = (values[a] * 5) + values[b];
            }
        }

        private (string Set, Func<uint[], bool> Holds) Condition()
        {
            (int a, int mask) = (Variable(), _random.Next(1, 8));
            uint value = (uint)(_random.Next(8) & mask);
            return ($"and.b32 %r91, %r{a}, {mask}; setp.eq.u32 %p1, %r91, {value};", values => (values[a] & mask) == value);
        }

        private Action<uint[]> Guarded()
        {
            (string set, Func<uint[], bool> holds) = Condition();
            (int d, int a) = (Variable(), Variable());
            Line(set);
            Line($"@!%p1 sub.u32 %r{d}, %r{d}, %r{a};");
            Line($"@%p1 mov.u32 %r{d}, %r{a};");
            return values => values[d] = holds(values) ? values[a] : values[d] - values[a];
        }

        private Action<uint[]> Break(string exit)
        {
            (string set, Func<uint[], bool> holds) = Condition();
            Line(set);
            Line($"@%p1 bra {exit};");
            return values =>
            {
                if (holds(values))
                {
                    throw new BreakException();
                }
            };
        }

        private Action<uint[]> If(int depth, string? exit)
        {
            (string set, Func<uint[], bool> holds) = Condition();
            (string otherwise, string end) = (Label(), Label());
            Line(set);
            Line($"@!%p1 bra {otherwise};");
            Action<uint[]> first = Block(depth, exit);
            Line($"bra {end};");
            Line($"{otherwise}:");
            Action<uint[]> second = Block(depth, exit);
            Line($"{end}:");
            return values => (holds(values) ? first : second)(values);
        }

        private Action<uint[]> Loop(int depth)
        {
            int count = Variable();
            string counter = string.Create(CultureInfo.InvariantCulture, $"%r{80 + depth}");
            (string begin, string end) = (Label(), Label());
            Line($"and.b32 {counter}, %r{count}, 3;");
            Line($"{begin}:");
            Action<uint[]> body = Block(depth, end);
            Line($"setp.eq.u32 %p2, {counter}, 0;");
            Line($"sub.u32 {counter}, {counter}, 1;");
            Line($"@!%p2 bra {begin};");
            Line($"{end}:");
            return values =>
            {
                uint left = values[count] & 3;
                try
                {
                    do
                    {
                        body(values);
                    }
                    while (left-- != 0);
                }
                catch (BreakException)
                {
                    // The loop that the statement is in ends here.
                }
            };
        }

        private sealed class BreakException : Exception;
    }
}
