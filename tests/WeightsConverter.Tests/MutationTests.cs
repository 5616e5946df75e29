using System.IO.Compression;

namespace KernelAD.WeightsConverter.Tests;

/// <summary>Seeded damage of every kind of checkpoint: the conversion succeeds or ends in a typed error, never in anything else.</summary>
public class MutationTests
{
    [Test]
    public void Truncated_file([Values] Container container)
    {
        byte[] whole = Make(container);
        Random random = new(11);
        int failures = 0;
        for (int i = 0; i < 300; i++)
        {
            int length = i < 100 ? whole.Length * i / 100 : random.Next(whole.Length);
            failures += Convert(whole[..length]) ? 0 : 1;
        }

        Assert.That(failures, Is.EqualTo(300), "a part of a checkpoint is none");
    }

    [Test]
    public void Flipped_bits([Values] Container container)
    {
        byte[] whole = Make(container);
        Random random = new(12);
        int failures = 0;
        for (int i = 0; i < 600; i++)
        {
            byte[] damaged = [.. whole];
            for (int flips = random.Next(1, 4); flips > 0; flips--)
            {
                damaged[random.Next(whole.Length)] ^= (byte)(1 << random.Next(8));
            }

            failures += Convert(damaged) ? 0 : 1;
        }

        Assert.That(failures, Is.GreaterThan(100), "the damage must be felt");
    }

    [Test]
    public void Overwritten_bytes_of_the_pickle([Values] Container container)
    {
        // Extreme values where lengths, sizes and instructions are.
        byte[] whole = Make(container);
        byte[] extremes = [0x00, 0x7f, 0x80, 0xff, (byte)'(', (byte)'.', (byte)'R', (byte)'t', (byte)'h', (byte)'b', 0x85, 0x93];
        Random random = new(13);
        for (int i = 0; i < 600; i++)
        {
            byte[] damaged = [.. whole];
            int start = random.Next(Math.Min(whole.Length, 4000));
            for (int at = start; at < Math.Min(start + random.Next(1, 9), whole.Length); at++)
            {
                damaged[at] = extremes[random.Next(extremes.Length)];
            }

            Convert(damaged);
        }

        Assert.Pass("every damaged file converted or ended in a BadInputException");
    }

    public enum Container
    {
        Zip,
        Deflated,
        Legacy,
    }

    private static byte[] Make(Container container)
    {
        (TorchFile file, _) = TinyModels.InTra();
        return container switch
        {
            Container.Zip => file.Zip(),
            Container.Deflated => file.Zip(compression: CompressionLevel.Fastest),
            _ => file.Legacy(),
        };
    }

    /// <summary>Whether a file converts; any exception but the expected one fails the test.</summary>
    private static bool Convert(byte[] content)
    {
        using Workspace w = new();
        try
        {
            w.Convert(content, TinyModels.InTraTold);
            return true;
        }
        catch (BadInputException e)
        {
            Assert.That(e.Message, Does.Contain("checkpoint.pth").And.Length.LessThan(3000));
            Assert.That(Directory.GetFiles(w.Folder), Has.Length.EqualTo(1));
            return false;
        }
    }
}
