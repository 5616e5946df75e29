using System.CommandLine;
using System.Text.RegularExpressions;
using KernelAD.Cli.Output;
using KernelAD.Emulator;
using Microsoft.Extensions.Logging;

namespace KernelAD.Cli;

/// <summary>How a model runs: the options of every command that runs one, in one place.</summary>
internal sealed partial class EngineOptions
{
    private readonly Option<string> _device = new("--device")
    {
        Description = "auto, cpu, cuda[:N] or emulated[:sm_XX]; a device that is not there is an error, never replaced",
        HelpName = "DEVICE",
        DefaultValueFactory = _ => "auto",
    };

    private readonly Option<string> _precision = new("--precision")
    {
        Description = "fp32, tf32 or fp16",
        HelpName = "PRECISION",
        DefaultValueFactory = _ => "fp32",
    };

    private readonly Option<int?> _threads = new("--threads")
    {
        Description = "Threads on the CPU [default: one per processor]; results do not depend on it",
        HelpName = "N",
        CustomParser = result =>
        {
            if (!int.TryParse(result.Tokens[0].Value, out int value) || value < 1)
            {
                result.AddError($"--threads: \"{result.Tokens[0].Value}\" is not a whole number of at least 1");
                return null;
            }

            return value;
        },
    };

    private readonly Option<long?> _memory = new("--memory")
    {
        Description = "Most memory for weights and activations together, 300MB for instance [default: no limit]",
        HelpName = "SIZE",
        CustomParser = result =>
        {
            if (!ByteSize.TryParse(result.Tokens[0].Value, out long bytes))
            {
                result.AddError($"--memory: \"{result.Tokens[0].Value}\" is not a size such as 300MB or 1.5GiB");
                return null;
            }

            return bytes;
        },
    };

    private readonly bool _hasThreads;

    /// <summary>Adds the options to a command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="threads">Whether it takes <c>--threads</c> too; bench has its own.</param>
    public EngineOptions(Command command, bool threads = true)
    {
        _device.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && !DevicePattern().IsMatch(result.Tokens[0].Value))
            {
                result.AddError($"--device: \"{result.Tokens[0].Value}\" is not one of auto, cpu, cuda, cuda:N, emulated, emulated:sm_XX");
            }
        });
        _precision.AcceptOnlyFromAmong("fp32", "tf32", "fp16");
        _hasThreads = threads;
        command.Options.Add(_device);
        command.Options.Add(_precision);
        if (threads)
        {
            command.Options.Add(_threads);
        }

        command.Options.Add(_memory);
    }

    /// <summary>The options as the engine takes them.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="count">Whether an emulated device counts memory transactions and keeps a record of each launch.</param>
    /// <exception cref="UsageException">The architecture cannot be emulated.</exception>
    public DetectorOptions Read(ParseResult parsed, bool count = false) => new()
    {
        Device = parsed.GetRequiredValue(_device),
        Driver = EmulatedDriver(parsed.GetRequiredValue(_device), count),
        Precision = parsed.GetRequiredValue(_precision) switch
        {
            "tf32" => Precision.Tf32,
            "fp16" => Precision.Fp16,
            _ => Precision.Fp32,
        },
        Threads = _hasThreads ? parsed.GetValue(_threads) : null,
        MaxMemoryBytes = parsed.GetValue(_memory),
        Logger = new StderrLogger(parsed.GetValue<bool>("--verbose") ? LogLevel.Information : LogLevel.Warning),
    };

    /// <summary>The emulator for "emulated" (of the architecture that most data centres have) and "emulated:sm_XX"; null for every other device.</summary>
    private static EmulatedDriver? EmulatedDriver(string device, bool count)
    {
        string[] parts = device.Split(':');
        if (parts[0] != "emulated")
        {
            return null;
        }

        try
        {
            EmulatorOptions options = new() { Count = count };
            return new EmulatedDriver(parts.Length == 2 ? options with { Architecture = parts[1] } : options);
        }
        catch (ArgumentException e)
        {
            throw new UsageException($"--device {device}: {e.Message.Split(" (Parameter")[0]}");
        }
    }

    [GeneratedRegex(@"^(auto|cpu|cuda(:\d+)?|emulated(:sm_\d+)?)$")]
    private static partial Regex DevicePattern();
}
