using System.CommandLine;
using System.Globalization;
using KernelAD.Evaluation.DataSets;
using KernelAD.Evaluation.Metrics;

namespace KernelAD.Cli;

/// <summary>The options of every command that computes metrics.</summary>
internal static class MetricOptions
{
    /// <summary><c>--metrics</c>.</summary>
    public static Option<string> Variant()
    {
        Option<string> option = new("--metrics")
        {
            Description = "default: exact, by the definitions of scikit-learn and MVTec; ader: as the tables of ADer",
            DefaultValueFactory = _ => MetricVariant.Default.Name(),
        };
        option.AcceptOnlyFromAmong([.. MetricVariants.Names]);
        return option;
    }

    /// <summary><c>--masks</c>.</summary>
    public static Option<string> MaskRule()
    {
        Option<string> option = new("--masks")
        {
            Description = "How masks come to the size of maps: ader, nearest-pillow, nearest-torch; original enlarges the maps instead",
            DefaultValueFactory = _ => Evaluation.DataSets.MaskRule.Ader.Name(),
        };
        option.AcceptOnlyFromAmong([.. MaskRules.Names]);
        return option;
    }

    /// <summary><c>--mask-threshold</c>.</summary>
    public static Option<byte> MaskThreshold() => new("--mask-threshold")
    {
        Description = "Highest mask value of an anomaly-free pixel; 127 suits masks with smoothed edges [default: 0]",
        HelpName = "0…254",
        CustomParser = result =>
        {
            if (!byte.TryParse(result.Tokens[0].Value, NumberStyles.None, CultureInfo.InvariantCulture, out byte value) || value > 254)
            {
                result.AddError($"--mask-threshold: \"{result.Tokens[0].Value}\" is not a whole number from 0 to 254");
            }

            return value;
        },
    };
}
