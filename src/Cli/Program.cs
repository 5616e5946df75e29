using System.CommandLine;
using System.CommandLine.Invocation;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using KernelAD.Cli.Commands;
using KernelAD.Interop;

namespace KernelAD.Cli;

/// <summary>The <c>kernelad</c> command: parses, runs one of the commands, and turns exceptions into one line and an exit code.</summary>
internal static class Program
{
    private static readonly Option<bool> Verbose = new("--verbose", "-v")
    {
        Description = "Log to stderr what happens; print stack traces of errors",
        Recursive = true,
    };

    private static int Main(string[] arguments)
    {
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        if (OperatingSystem.IsWindows())
        {
            Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        }

        using CancellationTokenSource interrupt = new();
        using PosixSignalRegistration ctrlC = PosixSignalRegistration.Create(PosixSignal.SIGINT, Interrupt);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Interrupt);

        ParseResult parsed = Root(interrupt.Token).Parse(arguments);
        if (parsed.Action is ParseErrorAction)
        {
            return ReportUsage(parsed);
        }

        try
        {
            int code = parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
            Console.Out.Flush();
            return code;
        }
#pragma warning disable CA1031 // The last resort of the process: whatever went wrong becomes one line and an exit code.
        catch (Exception e)
#pragma warning restore CA1031
        {
            return Report(e, parsed.GetValue(Verbose));
        }

        // The first signal asks the command to stop, which removes what is half-written; a second one ends the process.
        void Interrupt(PosixSignalContext context)
        {
            context.Cancel = !interrupt.IsCancellationRequested;
            interrupt.Cancel();
        }
    }

    private static RootCommand Root(CancellationToken cancellation) => new(
        "Finds anomalies in pictures with vision-transformer detectors. Results go to stdout, progress and logs to stderr.\n" +
        "Exit codes: 0 done, 1 unexpected error, 2 wrong usage, 3 bad input, 4 device not available, 10 anomaly found (with --fail-on-anomaly), 130 interrupted.")
    {
        Verbose,
        ConvertCommand.Create(cancellation),
        InfoCommand.Create(),
        DetectCommand.Create(cancellation),
        CalibrateCommand.Create(cancellation),
        PreprocessCommand.Create(cancellation),
        RunCommand.Create(cancellation),
        VerifyCommand.Create(),
        EvalCommand.Create(cancellation),
        MetricsCommand.Create(cancellation),
        BenchCommand.Create(cancellation),
        ProfileCommand.Create(),
        ExportCommand.Create(cancellation),
        DoctorCommand.Create(),
        DemoCommand.Create(cancellation),
    };

    private static int ReportUsage(ParseResult parsed)
    {
        Command command = parsed.CommandResult.Command;
        // An unknown command is also a missing one; only the former is news.
        bool unknownCommand = command is RootCommand && parsed.UnmatchedTokens.Count > 0;
        IEnumerable<string> messages = parsed.Errors.Select(e => e.Message).Distinct();
        foreach (string message in unknownCommand ? messages.Where(m => parsed.UnmatchedTokens.Any(t => m.Contains($"'{t}'", StringComparison.Ordinal))) : messages)
        {
            Console.Error.WriteLine($"kernelad: {OneLine(message)}");
        }

        string path = command is RootCommand ? "kernelad" : $"kernelad {command.Name}";
        Console.Error.WriteLine($"See `{path} --help`.");
        return ExitCode.WrongUsage;
    }

    private static int Report(Exception e, bool verbose)
    {
        (int code, string message) = e switch
        {
            UsageException => (ExitCode.WrongUsage, e.Message),
            BadInputException => (ExitCode.BadInput, e.Message),
            DeviceNotAvailableException or CudaException => (ExitCode.DeviceNotAvailable, e.Message),
            OperationCanceledException => (ExitCode.Interrupted, "interrupted"),
            IOException or UnauthorizedAccessException => (ExitCode.BadInput, e.Message),
            OutOfMemoryException => (ExitCode.BadInput, "out of memory; lower --batch, or give InTra a limit with --memory"),
            _ => (ExitCode.UnexpectedError, $"unexpected error: {e.Message} (--verbose shows where)"),
        };
        Console.Error.WriteLine($"kernelad: {OneLine(message)}");
        if (verbose)
        {
            Console.Error.WriteLine(e);
        }

        return code;
    }

    private static string OneLine(string message) => message.ReplaceLineEndings(" ").Replace("\t", "", StringComparison.Ordinal).TrimEnd();
}
