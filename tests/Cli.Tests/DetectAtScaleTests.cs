using System.Diagnostics;

namespace KernelAD.Cli.Tests;

/// <summary>Many pictures: patterns, lists on stdin, interruption, going on.</summary>
public sealed class DetectAtScaleTests : IDisposable
{
    /// <summary>Enough for a small model to be met in the middle.</summary>
    private const int Many = 200;

    private readonly Workspace _files = new();

    public void Dispose() => _files.Dispose();

    [Test]
    [Platform("Unix")]
    public void A_killed_run_goes_on_with_nothing_lost_and_nothing_done_twice()
    {
        string[] pictures = ManyPictures(Many);
        string[] arguments = ["detect", GoldenModel.InTra, _files["in"], "--threshold", "0.012", "--csv", _files["scores.csv"], "--resume"];
        Assert.That(Kernelad.Run("detect", GoldenModel.InTra, _files["in"], "--threshold", "0.012", "--csv", _files["expected.csv"]).Code, Is.Zero);
        for (int stop = 5; stop <= 50; stop += 15)
        {
            using Process process = Kernelad.Start(arguments);
            WaitForRows(process, stop);
            process.Kill();
            process.WaitForExit();
            Assert.That(Rows(), Is.InRange(stop, Many - 1), "killed in the middle");

            // What a kill between two writes of one row would leave.
            File.AppendAllText(_files["scores.csv"], $"\"{pictures[70][..5]}");
        }

        CommandResult last = Kernelad.Run(arguments);
        Assert.That((last.Code, last.Error), Is.EqualTo((0, "")));
        Assert.That(File.ReadAllText(_files["scores.csv"]), Is.EqualTo(File.ReadAllText(_files["expected.csv"])));
        Assert.That(last.Output, Does.Contain($"{Many} judged").And.Contain("are in"));
        Assert.That(Kernelad.Run(arguments).Code, Is.Zero, "a finished run has nothing to do");
        Assert.That(File.ReadAllText(_files["scores.csv"]), Is.EqualTo(File.ReadAllText(_files["expected.csv"])));
    }

    [Test]
    [Platform("Unix")]
    public void An_interrupted_run_finishes_the_picture_in_hand_and_leaves_a_valid_table()
    {
        string[] pictures = ManyPictures(Many);
        string[] arguments = ["detect", GoldenModel.InTra, _files["in"], "-o", _files["out"], "--scale", "0,0.02", "--csv", _files["scores.csv"]];
        using Process process = Kernelad.Start(arguments);
        WaitForRows(process, 4);
        using (Process kill = Process.Start("kill", ["-TERM", $"{process.Id}"]))
        {
            kill.WaitForExit();
        }

        CommandResult result = Kernelad.Finish(process);
        Assert.That((result.Code, result.Error), Is.EqualTo((130, "kernelad: interrupted\n")));
        string table = File.ReadAllText(_files["scores.csv"]);
        Assert.That(table, Does.EndWith("\r\n"));
        string[] done = [.. table.Split("\r\n", StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(r => r.Split(',')[0])];
        Assert.That(done, Is.EqualTo(pictures.Take(done.Length)).And.Length.InRange(4, Many - 1));
        Assert.That(Directory.GetFiles(_files["out"]), Has.Length.EqualTo(done.Length), "an overlay for each row, and no other");

        Assert.That(Kernelad.Run([.. arguments, "--resume"]).Code, Is.Zero);
        Assert.That(Rows(), Is.EqualTo(Many));
        Assert.That(Directory.GetFiles(_files["out"], "*.heat.png"), Has.Length.EqualTo(Many));
    }

    [Test]
    public void Patterns_that_the_shell_has_left_are_expanded()
    {
        foreach (string name in (string[])["in/a/1.png", "in/a/b/2.PNG", "in/a/b/30.png", "in/c/3.png", "in/c/3.heat.png", "in/c/notes.txt"])
        {
            _files.Picture(name);
        }

        Assert.That(Judged("in/*/*.png"), Is.EqualTo((string[])["in/a/1.png", "in/c/3.png"]));
        Assert.That(Judged("in/**/?.*"), Is.EqualTo((string[])["in/a/1.png", "in/a/b/2.PNG", "in/c/3.png"]));
        Assert.That(Judged("in/**"), Is.EqualTo((string[])["in/a/1.png", "in/a/b/2.PNG", "in/a/b/30.png", "in/c/3.png"]));
        Assert.That(Judged("in/a/*"), Is.EqualTo((string[])["in/a/1.png", "in/a/b/2.PNG", "in/a/b/30.png"]), "a folder that fits is searched, as if the shell had named it");
        CommandResult none = Kernelad.Run("detect", Kernelad.SampleModel, _files["in/*.jpg"]);
        Assert.That((none.Code, none.ErrorLines.Single()), Is.EqualTo((3, $"kernelad: {_files["in/*.jpg"]}: there is no such file, and no picture's name is like it")));

        string[] Judged(string pattern) =>
            [.. Kernelad.Run("detect", Kernelad.SampleModel, _files[pattern], "--json").Json.Select(o => Path.GetRelativePath(_files.Folder, (string)o["picture"]!))];
    }

    [Test]
    public void A_list_of_files_on_stdin_is_taken_as_it_comes()
    {
        string[] pictures = ManyPictures(5);
        using Process process = Kernelad.StartWithInput("detect", Kernelad.SampleModel, "-", "--csv", _files["scores.csv"], "--json");
        process.StandardInput.WriteLine(pictures[3]);
        process.StandardInput.Flush();
        string? first = process.StandardOutput.ReadLine();
        Assert.That(first, Does.Contain(Path.GetFileName(pictures[3])), "before the list has ended");
        process.StandardInput.WriteLine(_files["missing.png"]);
        process.StandardInput.WriteLine();
        process.StandardInput.WriteLine(pictures[1]);
        process.StandardInput.Close();
        CommandResult result = Kernelad.Finish(process);
        Assert.That(result.Code, Is.EqualTo(3));
        Assert.That(result.ErrorLines.Single(), Does.Contain("missing.png"));
        Assert.That(result.Json.Select(o => (string)o["picture"]!), Is.EqualTo((string[])[_files["missing.png"], pictures[1]]));
        Assert.That(Rows(), Is.EqualTo(3));
    }

    [Test]
    public void A_picture_named_twice_is_judged_twice_also_when_going_on()
    {
        string picture = ManyPictures(1)[0];
        string[] arguments = ["detect", Kernelad.SampleModel, picture, picture, picture, "--csv", _files["scores.csv"], "--resume"];
        Assert.That(Kernelad.Run(arguments).Code, Is.Zero);
        string whole = File.ReadAllText(_files["scores.csv"]);
        Assert.That(Rows(), Is.EqualTo(3));
        File.WriteAllText(_files["scores.csv"], whole[..^10]);
        Assert.That(Kernelad.Run(arguments).Code, Is.Zero);
        Assert.That(File.ReadAllText(_files["scores.csv"]), Is.EqualTo(whole));
    }

    [Test]
    public void Names_with_quotes_commas_and_line_ends_survive_going_on()
    {
        _files.Picture("in/a,\"b\"\nc.png");
        _files.Picture("in/d.png");
        _files.Save("in/e,f.png", "broken"u8.ToArray());
        string[] arguments = ["detect", Kernelad.SampleModel, _files["in"], "--csv", _files["scores.csv"], "--resume"];
        Assert.That(Kernelad.Run(arguments).Code, Is.EqualTo(3));
        string whole = File.ReadAllText(_files["scores.csv"]);
        CommandResult again = Kernelad.Run(arguments);
        Assert.That(again.Code, Is.EqualTo(3), "the broken picture still counts");
        Assert.That(again.Output, Does.Contain("3 pictures are in"));
        Assert.That(File.ReadAllText(_files["scores.csv"]), Is.EqualTo(whole));
    }

    [Test]
    public void Going_on_needs_a_table_of_the_same_run()
    {
        string picture = ManyPictures(1)[0];
        string[] arguments = ["detect", Kernelad.SampleModel, picture, "--csv", _files["scores.csv"]];
        Kernelad.Fails(2, ["detect", Kernelad.SampleModel, picture, "--resume"], "--resume", "--csv");
        Kernelad.Fails(2, [.. arguments, "--resume", "-o", _files["out"]], "--resume", "--scale");
        Assert.That(Kernelad.Run([.. arguments, "--threshold", "0.5"]).Code, Is.Zero);
        Kernelad.Fails(3, [.. arguments, "--resume", "--threshold", "0.25"], "scores.csv", "0.5", "0.25");
        File.WriteAllText(_files["scores.csv"], "name,age\r\nx,1\r\n");
        Kernelad.Fails(3, [.. arguments, "--resume"], "scores.csv", "row 1", "columns");
        Assert.That(File.ReadAllText(_files["scores.csv"]), Is.EqualTo("name,age\r\nx,1\r\n"), "a foreign file is left alone");
    }

    [Test]
    public void Batches_and_broken_pictures_do_not_change_order_or_scores()
    {
        ManyPictures(9);
        _files.Save("in/0003b.png", "broken"u8.ToArray());
        string[] arguments = ["detect", Kernelad.SampleModel, _files["in"], "--json"];
        CommandResult one = Kernelad.Run([.. arguments, "--threads", "1"]), four = Kernelad.Run([.. arguments, "--batch", "4", "--threads", "2"]);
        Assert.That((one.Code, four.Code), Is.EqualTo((3, 3)));
        Assert.That(Scores(four), Has.Length.EqualTo(10).And.EqualTo(Scores(one)));

        static (string, string?)[] Scores(CommandResult result) => [.. result.Json.Select(o => ((string)o["picture"]!, o["score"]?.ToJsonString()))];
    }

    private string[] ManyPictures(int count)
    {
        string[] samples = [.. Directory.GetFiles(Kernelad.Sample("test"), "*.png", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];
        return [.. Enumerable.Range(0, count).Select(i => _files.Save($"in/{i:D4}.png", File.ReadAllBytes(samples[i % samples.Length])))];
    }

    private int Rows()
    {
        // The command is writing to it.
        using FileStream file = new(_files["scores.csv"], FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using StreamReader reader = new(file);
        return reader.ReadToEnd().Count(c => c == '\n') - 1;
    }

    private void WaitForRows(Process process, int count)
    {
        while (!process.HasExited && (!File.Exists(_files["scores.csv"]) || Rows() < count))
        {
            Thread.Sleep(5);
        }

        Assert.That(process.HasExited, Is.False);
    }
}
