namespace KernelAD.Cli;

/// <summary>What the process tells its caller.</summary>
internal static class ExitCode
{
    public const int Done = 0;
    public const int UnexpectedError = 1;
    public const int WrongUsage = 2;
    public const int BadInput = 3;
    public const int DeviceNotAvailable = 4;
    public const int AnomalyFound = 10;

    /// <summary>128 + SIGINT, what shells report for a program ended by Ctrl-C.</summary>
    public const int Interrupted = 130;
}
