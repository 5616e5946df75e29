namespace KernelAD;

/// <summary>Base of every error that KernelAD reports on purpose. The message names what was found, what was expected and what to do.</summary>
public abstract class KernelAdException : Exception
{
    /// <summary>Creates the exception.</summary>
    protected KernelAdException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}

/// <summary>
/// Input that cannot be used: a corrupt or foreign file, a missing or wrongly shaped tensor, NaN where numbers are needed, an unreadable picture.
/// The command line answers with exit code 3.
/// </summary>
public class BadInputException : KernelAdException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">Names file, tensor, expected, found, and what to do.</param>
    /// <param name="inner">The cause, if another exception was.</param>
    public BadInputException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}

/// <summary>A KernelAD model file (safetensors) that is corrupt, of an unknown schema, or whose tensors do not fit its configuration.</summary>
public sealed class ModelFileException : BadInputException
{
    /// <summary>Creates the exception.</summary>
    public ModelFileException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}

/// <summary>A model configuration that names an unknown key, an unknown variant, or values that do not fit together.</summary>
public sealed class ConfigurationException : BadInputException
{
    /// <summary>Creates the exception.</summary>
    public ConfigurationException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}

/// <summary>A tensor handed to the engine that has the wrong shape or type, or holds NaN or infinities.</summary>
public sealed class TensorException : BadInputException
{
    /// <summary>Creates the exception.</summary>
    public TensorException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}

/// <summary>Memory for weights, activations or working space that the system does not have. The command line answers with exit code 3.</summary>
public sealed class NotEnoughMemoryException : BadInputException
{
    /// <summary>Creates the exception.</summary>
    public NotEnoughMemoryException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}

/// <summary>The device asked for is not there or cannot be used. The command line answers with exit code 4.</summary>
public sealed class DeviceNotAvailableException : KernelAdException
{
    /// <summary>Creates the exception.</summary>
    public DeviceNotAvailableException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
