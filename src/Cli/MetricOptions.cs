using System.CommandLine;
using System.Globalization;
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
            DefaultValueFactory = _ => Name(MetricVariant.Default),
        };
        option.AcceptOnlyFromAmong(Name(MetricVariant.Default), Name(MetricVariant.Ader));
        return option;
    }

    /// <summary><c>--mask-threshold</c>.</summary>
    public static Option<byte> MaskThreshold() => new("--mask-threshold")
    {
        Description = "Highest mask value of an anomaly-free pixel; 127 suits masks with smoothed edges [default: 0]",
        HelpName = "0…255",
        CustomParser = result =>
        {
            if (!byte.TryParse(result.Tokens[0].Value, NumberStyles.None, CultureInfo.InvariantCulture, out byte value))
            {
                result.AddError($"--mask-threshold: \"{result.Tokens[0].Value}\" is not a whole number from 0 to 255");
            }

            return value;
        },
    };

    /// <summary>The variant that the option names.</summary>
    public static MetricVariant Read(string name) => name == Name(MetricVariant.Ader) ? MetricVariant.Ader : MetricVariant.Default;

    /// <summary>What the option calls a variant.</summary>
    public static string Name(MetricVariant variant) => variant == MetricVariant.Ader ? "ader" : "default";
}
