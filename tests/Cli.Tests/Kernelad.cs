using System.Diagnostics;
using System.Text.Json.Nodes;

namespace KernelAD.Cli.Tests;

/// <summary>What a run of the command left: exit code, stdout, stderr.</summary>
internal sealed record CommandResult(int Code, string Output, string Error)
{
    /// <summary>stdout as JSON, one object a line; anything else on stdout fails the test.</summary>
    public JsonObject[] Json => [.. Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!.AsObject())];

    /// <summary>The lines of stderr.</summary>
    public string[] ErrorLines => Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}

/// <summary>Runs the built command as a process.</summary>
internal static class Kernelad
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    public static string Golden(params string[] parts) => Path.Combine([TestContext.CurrentContext.TestDirectory, "golden", .. parts]);

    public static string Sample(params string[] parts) => Path.Combine([TestContext.CurrentContext.TestDirectory, "samples", "fabric", .. parts]);

    public static string SampleModel => Sample("intra-fabric.safetensors");

    public static CommandResult Run(params string[] arguments)
    {
        using Process process = Start(arguments);
        return Finish(process);
    }

    /// <summary>Runs the command with environment variables set, or removed where the value is null.</summary>
    public static CommandResult Run((string Name, string? Value)[] environment, params string[] arguments)
    {
        using Process process = Start(environment, arguments);
        return Finish(process);
    }

    public static Process Start(params string[] arguments) => Start([], arguments);

    /// <summary>Starts the command with its stdin in the test's hands.</summary>
    public static Process StartWithInput(params string[] arguments) => Start([], arguments, input: true);

    private static Process Start((string Name, string? Value)[] environment, string[] arguments, bool input = false)
    {
        ProcessStartInfo start = new(Environment.ProcessPath is string host && Path.GetFileNameWithoutExtension(host) == "dotnet" ? host : "dotnet")
        {
            RedirectStandardInput = input,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (string argument in (string[])[Path.Combine(TestContext.CurrentContext.TestDirectory, "kernelad.dll"), .. arguments])
        {
            start.ArgumentList.Add(argument);
        }

        foreach ((string name, string? value) in environment)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    public static CommandResult Finish(Process process)
    {
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(Limit))
        {
            process.Kill();
            Assert.Fail($"the command did not end within {Limit}");
        }

        return new CommandResult(process.ExitCode, output.Result, error.Result);
    }

    /// <summary>Runs a command that must fail: with this code, nothing on stdout, and one line that holds every one of <paramref name="words"/>.</summary>
    public static void Fails(int code, string[] arguments, params string[] words)
    {
        CommandResult result = Run(arguments);
        Assert.That(result.Code, Is.EqualTo(code), result.Error);
        Assert.That(result.Output, Is.Empty);
        string[] errors = [.. result.ErrorLines.Where(l => !l.StartsWith("See `", StringComparison.Ordinal) && !l.StartsWith("kernelad: warning:", StringComparison.Ordinal))];
        Assert.That(errors, Has.Length.EqualTo(1), result.Error);
        Assert.That(errors[0], Does.StartWith("kernelad: "));
        foreach (string word in words)
        {
            Assert.That(errors[0], Does.Contain(word));
        }
    }
}
