using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using KernelAD.Interop;

namespace KernelAD.Emulator.Tests;

/// <summary>
/// The emulator for sm_90 against what an H200 did, bit by bit; any NaN equals any other. tests/Fixtures/instructions/h200 says how it was recorded.
/// </summary>
internal sealed partial class HardwareTests
{
    private const string Folder = "instructions/h200";

    private static string[] Probes =>
        [.. Directory.EnumerateFiles(Fixture.File(Folder), "*.ptx").Select(Path.GetFileNameWithoutExtension).Order(StringComparer.Ordinal)!];

    [TestCaseSource(nameof(Probes))]
    public void Results_are_those_of_the_H200(string probe)
    {
        string ptx = File.ReadAllText(Fixture.File($"{Folder}/{probe}.ptx"));
        uint[] words = MemoryMarshal.Cast<byte, uint>(File.ReadAllBytes(Fixture.File($"{Folder}/{probe}.u32"))).ToArray();
        (int inputs, int results) = (WordsOfLane(ptx, "inputs"), WordsOfLane(ptx, "results"));
        int lanes = words.Length / (inputs + results);
        Assert.That(lanes, Is.Positive.And.EqualTo((decimal)words.Length / (inputs + results)));
        Assert.That(lanes % Warp.Lanes, Is.Zero);

        using PtxDevice device = new();
        PtxKernel kernel = PtxModule.Parse(probe, ptx, EmulatedTarget.Find("sm_90")).Kernels["probe"];
        ulong from = device.Upload(words[..(lanes * inputs)]), to = device.Allocate<uint>(lanes * results);
        device.Run(kernel, new LaunchSize(lanes / Warp.Lanes), new LaunchSize(Warp.Lanes), 0, from, to);
        uint[] found = device.Download<uint>(to, lanes * results), recorded = words[(lanes * inputs)..];
        int[] differing = [.. Enumerable.Range(0, found.Length).Where(i => found[i] != recorded[i] && !(IsNaN(found[i]) && IsNaN(recorded[i])))];
        Assert.That(differing, Is.Empty, () => $"the first of {differing.Length}: {found[differing[0]]:X8} instead of {recorded[differing[0]]:X8}");
    }

    /// <summary>Every result of these probes is a binary32 number.</summary>
    private static bool IsNaN(uint word) => float.IsNaN(BitConverter.UInt32BitsToSingle(word));

    private static int WordsOfLane(string ptx, string group) => int.Parse(Registers().Match(ptx).Groups[group].Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"%a<(?<inputs>\d+)>, %d<(?<results>\d+)>")]
    private static partial Regex Registers();
}
