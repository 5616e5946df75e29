namespace KernelAD.Cli;

/// <summary>Options that parse one by one but cannot be followed together; answered with exit code 2.</summary>
internal sealed class UsageException(string message) : Exception(message);
