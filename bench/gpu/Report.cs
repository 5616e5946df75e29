using System.Globalization;
using System.Text;
using System.Text.Json;

namespace KernelAD.GpuChecks;

/// <summary>Puts what the steps of run.sh left in a folder into one report. Refuses files that were measured on different things.</summary>
internal sealed class Report
{
    private readonly string _folder, _on;
    private readonly bool _isEmulated;
    private readonly StringBuilder _text = new();
    private readonly List<string> _faults = [];

    private Report(string folder, string on, bool isEmulated)
    {
        _folder = folder;
        _on = on;
        _isEmulated = isEmulated;
    }

    /// <summary>Writes report.md and report.json.</summary>
    /// <returns>Whether everything that decides over correctness was run and passed.</returns>
    /// <exception cref="IOException">The folder has no device.jsonl, or files of different devices.</exception>
    public static bool Write(string folder)
    {
        JsonElement device = JsonLines.Read(Path.Combine(folder, "device.jsonl")) is [JsonElement first, ..] ? first : throw new IOException($"{folder}: no device.jsonl");
        Report report = new(folder, Text(device, "measured_on"), device.GetProperty("emulated").GetBoolean());
        report.WriteAll(device);
        File.WriteAllText(Path.Combine(folder, "report.md"), report._text.ToString());
        using FileStream file = File.Create(Path.Combine(folder, "report.json"));
        using Utf8JsonWriter json = new(file, new JsonWriterOptions { Indented = true });
        json.WriteStartObject();
        json.WriteString("measured_on", report._on);
        json.WriteBoolean("emulated", report._isEmulated);
        json.WriteBoolean("passed", report._faults.Count == 0);
        json.WriteStartArray("faults");
        report._faults.ForEach(json.WriteStringValue);
        json.WriteEndArray();
        foreach (string name in (string[])["device", "steps", "instructions", "kernels", "golden", "bench", "products", "peers"])
        {
            json.WriteStartArray(name);
            foreach (JsonElement line in report.Lines(name))
            {
                line.WriteTo(json);
            }

            json.WriteEndArray();
        }

        json.WriteEndObject();
        Console.WriteLine(report._faults.Count == 0 ? "correctness held" : string.Join('\n', report._faults.Prepend("correctness did not hold:")));
        return report._faults.Count == 0;
    }

    private void WriteAll(JsonElement device)
    {
        Line($"# KernelAD on {_on}");
        Line();
        if (_isEmulated)
        {
            Line("**Nothing here was measured on a GPU.** It shows that the run works and that the kernels are right on the emulator; it says nothing of a GPU's "
                + "results or speed.");
            Line();
        }

        Line($"{Text(device, "date")}. Device option `{Text(device, "device")}`, architecture {Text(device, "architecture")}, "
            + $"{Number(device, "multiprocessors")} multiprocessors, {Number(device, "memory_bytes") / (1L << 30)} GiB.");
        string system = Path.Combine(_folder, "nvidia-smi.txt");
        if (File.Exists(system))
        {
            Line();
            Line($"```\n{File.ReadAllText(system).Trim()}\n```");
        }

        Steps();
        Instructions();
        Kernels();
        Golden();
        Bench();
        Products();
        foreach (string name in (string[])["steps", "instructions", "kernels", "golden"])
        {
            if (Lines(name).Count == 0)
            {
                _faults.Add($"nothing came of the {name}");
            }
        }

        Line();
        Line("## Verdict");
        Line();
        Line(_faults.Count == 0 ? $"Correctness held on {_on}." : $"Correctness did **not** hold on {_on}:");
        _faults.ForEach(fault => Line($"* {fault}"));
    }

    private void Steps()
    {
        Heading("Steps");
        Line("| step | outcome | seconds | note |\n|---|---|---:|---|");
        foreach (JsonElement step in Lines("steps"))
        {
            Line($"| {Text(step, "step")} | {Text(step, "outcome")} | {Number(step, "seconds")} | {Text(step, "note")} |");
            if (step.GetProperty("decides").GetBoolean() && Text(step, "outcome") != "passed")
            {
                _faults.Add($"step {Text(step, "step")}: {Text(step, "outcome")} {Text(step, "note")}");
            }
        }
    }

    private void Instructions()
    {
        IReadOnlyList<JsonElement> probes = Lines("instructions");
        Heading("Instructions");
        if (_isEmulated)
        {
            Line("Device and emulator are the same here, so no difference can show; what is tested is the emulator against the PTX ISA.\n");
        }

        Line("| instruction | results | differ from the emulator's | by up to, ulp | worst error | PTX ISA's bound | |\n|---|---:|---:|---:|---:|---|---|");
        foreach (JsonElement probe in probes)
        {
            bool passed = probe.GetProperty("passed").GetBoolean();
            bool promised = probe.TryGetProperty("bound", out JsonElement bound);
            string error = promised ? Short(probe.GetProperty("worst_error").GetDouble()) : "";
            string limit = promised ? $"{Short(bound.GetDouble())} {Text(probe, "unit")}" : probe.GetProperty("defined").GetBoolean() ? "exact" : "open";
            string verdict = passed ? Number(probe, "differing") > 0 ? "as the ISA allows" : "" : "**FAIL**";
            Line($"| {Text(probe, "probe")} | {Number(probe, "results")} | {Number(probe, "differing")} | {Number(probe, "largest_distance_ulp")} | {error} | {limit} | {verdict} |");
            if (!passed)
            {
                _faults.Add($"instruction {Text(probe, "probe")} is not as the PTX ISA says, or the emulator is not");
            }
        }

        foreach (JsonElement probe in probes.Where(p => p.TryGetProperty("sums", out _)))
        {
            Line();
            Line($"{Text(probe, "probe")}, measured on {_on}, beside {Text(probe, "compared_with")}; {Text(probe, "meaning")}:\n");
            Line("| sum | device | emulator |\n|---:|---|---|");
            int number = 0;
            foreach (JsonElement sum in probe.GetProperty("sums").EnumerateArray())
            {
                Line($"| {number++} | {Text(sum, "device")} | {Text(sum, "emulator")} |");
            }
        }
    }

    private void Kernels()
    {
        Heading("Kernels against binary64 references");
        Line("| family | tests | passed | failed | skipped | seconds |\n|---|---:|---:|---:|---:|---:|");
        foreach (IGrouping<string, JsonElement> family in Lines("kernels").GroupBy(line => Text(line, "family")))
        {
            JsonElement[] tests = [.. family.Where(line => line.TryGetProperty("test", out _))];
            long expected = Number(family.First(), "expected");
            int passed = Count("passed"), failed = Count("failed"), skipped = Count("skipped");
            double seconds = tests.Sum(t => t.GetProperty("seconds").GetDouble());
            Line($"| {family.Key} | {expected} | {passed} | {failed} | {skipped} | {seconds.ToString("F1", CultureInfo.InvariantCulture)} |");
            if (failed > 0)
            {
                _faults.Add($"{failed} tests of {family.Key} failed");
            }

            if (tests.Length < expected)
            {
                _faults.Add($"{family.Key} ended after {tests.Length} of {expected} tests");
            }

            int Count(string outcome) => tests.Count(t => Text(t, "outcome") == outcome);
        }

        foreach (IGrouping<string, JsonElement> reason in Lines("kernels").Where(l => Text(l, "outcome") == "skipped").GroupBy(l => Text(l, "message")))
        {
            Line($"\nSkipped, {reason.Count()}: {reason.Key}.");
        }

        foreach (JsonElement test in Lines("kernels").Where(l => Text(l, "outcome") == "failed").Take(50))
        {
            Line($"\nFailed: {Text(test, "test")}: {Text(test, "message").ReplaceLineEndings(" ")}");
        }
    }

    private void Golden()
    {
        Heading("Golden cases, kernelad verify");
        Line("| case | model | device | precision | values | worst share of its tolerance | |\n|---|---|---|---|---:|---:|---|");
        foreach (JsonElement run in Lines("golden"))
        {
            JsonElement[] values = [.. run.GetProperty("values").EnumerateArray().Where(v => v.GetProperty("share_of_tolerance").ValueKind == JsonValueKind.Number)];
            JsonElement worst = values.MaxBy(v => v.GetProperty("share_of_tolerance").GetDouble());
            bool passed = run.GetProperty("passed").GetBoolean();
            string share = values.Length == 0 ? "" : $"{Short(100 * worst.GetProperty("share_of_tolerance").GetDouble())} % ({Text(worst, "name")}, {Text(worst, "plan")})";
            string golden = Text(run, "golden"), precision = Text(run, "precision"), verdict = passed ? "" : "**FAIL**";
            Line($"| {golden} | {Text(run, "model")} | {Text(run, "device")} | {precision} | {values.Length} | {share} | {verdict} |");
            if (!passed)
            {
                _faults.Add($"golden case {golden}, {precision}, is not within tolerance");
            }
        }
    }

    private void Bench()
    {
        if (Lines("bench") is not { Count: > 0 } runs)
        {
            return;
        }

        Heading("Models, kernelad bench");
        if (_isEmulated)
        {
            Line("Times of the emulator: they say how long it takes, nothing of a GPU.\n");
        }

        Line("| model file | device | precision | batch | median ms | p99 ms | images/s | PyTorch eager ms | graph ms | compiled ms |\n|---|---|---|---:|---:|---:|---:|---:|---:|---:|");
        foreach (JsonElement run in runs)
        {
            JsonElement latency = run.GetProperty("latency_ms");
            string file = Text(run, "file"), precision = Text(run, "precision");
            long batch = Number(run, "batch");
            string median = Short(latency.GetProperty("median").GetDouble()), p99 = Short(latency.GetProperty("p99").GetDouble());
            string rate = Short(run.GetProperty("images_per_second").GetDouble());
            Line($"| {file} | {Text(run, "device")} | {precision} | {batch} | {median} | {p99} | {rate} | {Peer("eager")} | {Peer("graph")} | {Peer("compiled")} |");

            string Peer(string mode)
            {
                JsonElement peer = Lines("peers").FirstOrDefault(p =>
                    Text(p, "kind") == mode && file == Text(p, "model") + "-full" && Text(p, "precision") == precision && Number(p, "batch") == batch);
                return peer.ValueKind == JsonValueKind.Object ? Short(peer.GetProperty("milliseconds").GetDouble()) : "";
            }
        }
    }

    private void Products()
    {
        if (Lines("products") is not { Count: > 0 } products)
        {
            return;
        }

        Heading("Matrix products");
        Line("Every way that a product can be cut; **bold**: what the engine chooses.\n");
        Line("| M × N × K | precision | kernel | splits | blocks | waves | padding | ms | TFLOP/s | cuBLAS ms | times cuBLAS |\n|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|");
        foreach (JsonElement product in products)
        {
            (long m, long n, long k) = (Number(product, "m"), Number(product, "n"), Number(product, "k"));
            double? time = product.TryGetProperty("milliseconds", out JsonElement t) ? t.GetDouble() : null;
            string precision = Text(product, "precision"), kernel = product.GetProperty("chosen").GetBoolean() ? $"**{Text(product, "kernel")}**" : Text(product, "kernel");
            JsonElement peer = Lines("peers").FirstOrDefault(p =>
                Text(p, "kind") == "product" && Text(p, "precision") == precision && (Number(p, "m"), Number(p, "n"), Number(p, "k")) == (m, n, k));
            double? cublas = peer.ValueKind == JsonValueKind.Object ? peer.GetProperty("milliseconds").GetDouble() : null;
            string waves = Short(product.GetProperty("waves").GetDouble()), padding = Short(product.GetProperty("padding").GetDouble());
            string rate = Optional(2e-9 * m * n * k / time), ratio = Optional(time / cublas);
            Line($"| {m} × {n} × {k} | {precision} | {kernel} | {Number(product, "splits")} | {Number(product, "blocks")} | {waves} | {padding} "
                + $"| {Optional(time)} | {rate} | {Optional(cublas)} | {ratio} |");
        }
    }

    private void Heading(string title)
    {
        Line();
        Line($"## {title}, measured on {_on}");
        Line();
    }

    private void Line(string line = "") => _text.Append(line).Append('\n');

    /// <summary>The lines of a step's file, all of them measured on what the report is about.</summary>
    private IReadOnlyList<JsonElement> Lines(string name)
    {
        IReadOnlyList<JsonElement> lines = JsonLines.Read(Path.Combine(_folder, name + ".jsonl"));
        foreach (JsonElement line in lines)
        {
            if (line.TryGetProperty("measured_on", out JsonElement on) && on.GetString() != _on)
            {
                throw new IOException($"{name}.jsonl was measured on {on}, the report is about {_on}: give every run a folder of its own");
            }

            // kernelad names its device in words of its own.
            if (name is "golden" or "bench" && Text(line, "device").Contains("emulat", StringComparison.OrdinalIgnoreCase) != _isEmulated)
            {
                throw new IOException($"{name}.jsonl was measured on {Text(line, "device")}, the report is about {_on}");
            }
        }

        return lines;
    }

    private static string Text(JsonElement element, string name) => element.TryGetProperty(name, out JsonElement value) ? value.GetString() ?? "" : "";

    private static long Number(JsonElement element, string name) => element.TryGetProperty(name, out JsonElement value) ? value.GetInt64() : 0;

    private static string Short(double value) => value.ToString("G4", CultureInfo.InvariantCulture);

    private static string Optional(double? value) => value is double number ? Short(number) : "";
}
