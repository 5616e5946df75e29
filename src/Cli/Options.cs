using System.CommandLine;
using System.Globalization;

namespace KernelAD.Cli;

/// <summary>Arguments and options that several commands share.</summary>
internal static class Options
{
    /// <summary>The model file.</summary>
    public static Argument<string> Model() => new("MODEL") { Description = "Model file (.safetensors) written by `kernelad convert`" };

    /// <summary><c>--json</c>.</summary>
    public static Option<bool> Json() => new("--json") { Description = "Print JSON, one object a line" };

    /// <summary>A whole number of at least one.</summary>
    public static Option<int> Positive(string name, string description, int fallback)
    {
        Option<int> option = new(name) { Description = description, DefaultValueFactory = _ => fallback };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && !(int.TryParse(result.Tokens[0].Value, CultureInfo.InvariantCulture, out int value) && value >= 1))
            {
                result.AddError($"{name}: \"{result.Tokens[0].Value}\" is not a whole number of at least 1");
            }
        });
        return option;
    }

    /// <summary>Several whole numbers of at least one, separated by commas.</summary>
    public static Option<int[]> PositiveList(string name, string description, Func<int[]> fallback) => new(name)
    {
        Description = description,
        HelpName = "N,…",
        Arity = ArgumentArity.ExactlyOne,
        DefaultValueFactory = _ => fallback(),
        CustomParser = result =>
        {
            List<int> values = [];
            foreach (string part in result.Tokens[0].Value.Split(','))
            {
                if (!int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out int value) || value < 1)
                {
                    result.AddError($"{name}: \"{part}\" is not a whole number of at least 1");
                    return null;
                }

                values.Add(value);
            }

            return [.. values];
        },
    };

    /// <summary>A finite number.</summary>
    public static Option<double?> Number(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "NUMBER",
        CustomParser = result =>
        {
            if (!TryNumber(result.Tokens[0].Value, out double value))
            {
                result.AddError($"{name}: \"{result.Tokens[0].Value}\" is not a finite number");
                return null;
            }

            return value;
        },
    };

    /// <summary>A number between two limits.</summary>
    public static Option<double> Between(string name, string description, double least, double most, double fallback) => new(name)
    {
        Description = description,
        HelpName = "NUMBER",
        DefaultValueFactory = _ => fallback,
        CustomParser = result =>
        {
            if (!TryNumber(result.Tokens[0].Value, out double value) || value < least || value > most)
            {
                result.AddError(string.Create(CultureInfo.InvariantCulture, $"{name}: \"{result.Tokens[0].Value}\" is not a number between {least} and {most}"));
                return fallback;
            }

            return value;
        },
    };

    /// <summary>Parses a finite number in invariant notation.</summary>
    public static bool TryNumber(string text, out double value) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value) && double.IsFinite(value);
}
