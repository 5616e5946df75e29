using System.Security.Cryptography;
using KernelAD.Models;
using KernelAD.Weights;
using KernelAD.WeightsConverter.Archives;
using KernelAD.WeightsConverter.Layouts;
using KernelAD.WeightsConverter.Pickle;

namespace KernelAD.WeightsConverter;

/// <summary>Converts PyTorch checkpoints to KernelAD model files. Reads data only: nothing that a checkpoint contains is executed.</summary>
public static class CheckpointConverter
{
    /// <summary>Converts a checkpoint.</summary>
    /// <param name="checkpoints">
    /// The checkpoint (.pth, .pt, .tar, zip or the format before PyTorch 1.6) and, where the model knows such, a second file: InTra's mean map, ViTAD's
    /// teacher, VT-ADL's mixture network, the backbone of ADTR, UniAD or UTRAD. Their order does not matter.
    /// </param>
    /// <param name="output">The safetensors file to write; it appears complete or not at all.</param>
    /// <param name="options">What the user tells.</param>
    /// <returns>What was found and written.</returns>
    /// <exception cref="CheckpointException">A checkpoint is damaged, foreign, of an unsupported variant, or does not fit.</exception>
    /// <exception cref="OutputException">The output cannot be written.</exception>
    /// <exception cref="OperationCanceledException">The conversion was cancelled.</exception>
    public static ConversionReport Convert(IReadOnlyList<string> checkpoints, string output, ConversionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(checkpoints);
        ArgumentException.ThrowIfNullOrEmpty(output);
        if (checkpoints.Count == 0)
        {
            throw new ArgumentException("no checkpoint is given", nameof(checkpoints));
        }

        options ??= new ConversionOptions();
        if (checkpoints.Any(c => Path.GetFullPath(c) == Path.GetFullPath(output)))
        {
            throw new OutputException($"{output}: the output would replace the checkpoint; give it another name");
        }

        List<OpenCheckpoint> files = [];
        try
        {
            foreach (string path in checkpoints)
            {
                options.Cancellation.ThrowIfCancellationRequested();
                files.Add(Open(path));
            }

            (Layout layout, OpenCheckpoint main) = Choose(files, options.Model);
            ConfigurationFinder configuration = new(main.File.FilePath, options.Told);
            Conversion conversion = layout.Convert(main, [.. files.Where(f => f != main)], configuration);
            CheckSize(files, conversion.Tensors);
            ModelFile.Write(
                output,
                conversion.Model,
                conversion.Tensors,
                new ModelFileDetails { Source = [.. checkpoints.Select(c => Describe(c, options.Cancellation))], Notes = conversion.Notes },
                options.Cancellation);
            return new ConversionReport
            {
                Model = conversion.Model,
                OutputPath = output,
                Notes = conversion.Notes,
                SkippedKeys = conversion.Skipped,
                Warnings = conversion.Warnings,
                Tensors = conversion.Tensors.Count,
                Parameters = conversion.Tensors.Sum(t => t.Shape.Count),
            };
        }
        finally
        {
            files.ForEach(f => f.File.Dispose());
        }
    }

    private static OpenCheckpoint Open(string path)
    {
        CheckpointFile file = CheckpointFile.Open(path);
        try
        {
            StateDict? tensors = StateDict.Find(file);
            CheckpointTensor? bare = file.Root is TensorRef view ? new CheckpointTensor(file, "the tensor", view) : null;
            return new OpenCheckpoint(file, tensors, bare, tensors is null ? null : CheckpointKind.Of(tensors));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Picks the file with the model's weights and the layout that reads it.</summary>
    private static (Layout Layout, OpenCheckpoint Main) Choose(List<OpenCheckpoint> files, string? told)
    {
        string all = string.Join(", ", ModelRegistry.Names);
        if (told is not null && !ModelRegistry.Names.Contains(told, StringComparer.OrdinalIgnoreCase))
        {
            throw new CheckpointException($"unknown model \"{told}\": this build converts {all}");
        }

        OpenCheckpoint[] models = [.. files.Where(f => f.Kind?.Model is not null)];
        if (models.Length > 1)
        {
            throw new CheckpointException(
                $"{models[1].File.FilePath}: this is {models[1].Description}, but {models[0].File.FilePath} is {models[0].Description} already; convert one model at a time.");
        }

        // When no file shows itself, the user's word decides, and the missing keys are reported by name.
        OpenCheckpoint main = models.Length == 1 ? models[0] : files[0];
        string? model = main.Kind?.Model ?? (main is { Kind: null, Tensors: not null } ? told : null);
        if (model is null)
        {
            throw new CheckpointException($"{main.File.FilePath}: this is {main.Description}; this build converts {all}.");
        }

        return told is null || string.Equals(model, told, StringComparison.OrdinalIgnoreCase)
            ? (Layout.All.First(l => string.Equals(l.Model, model, StringComparison.OrdinalIgnoreCase)), main)
            : throw new CheckpointException($"{main.File.FilePath}: told to be {told}, but this is {main.Description}. Leave --model out, or give another checkpoint.");
    }

    /// <summary>A few bytes can claim to be a huge tensor (a stride of zero); trained weights are about as large as their file.</summary>
    private static void CheckSize(List<OpenCheckpoint> files, IReadOnlyList<TensorSource> tensors)
    {
        Int128 written = 0;
        foreach (TensorSource tensor in tensors)
        {
            written += (Int128)tensor.Shape.Count * sizeof(float);
        }

        long read = files.Sum(f => f.File.FileLength);
        if (written > (64L << 20) + (8 * (Int128)read))
        {
            throw new CheckpointException(
                $"{files[0].File.FilePath}: the tensors would take {written:N0} bytes, although the files have only {read:N0}: the views repeat the same values. Save the tensors contiguous.");
        }
    }

    private static ModelSource Describe(string path, CancellationToken cancellation)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            byte[] buffer = new byte[1 << 20];
            for (int read; (read = stream.Read(buffer)) > 0;)
            {
                cancellation.ThrowIfCancellationRequested();
                hash.AppendData(buffer, 0, read);
            }

            return new ModelSource(Path.GetFileName(path), System.Convert.ToHexStringLower(hash.GetHashAndReset()));
        }
        catch (IOException e)
        {
            throw new CheckpointException($"{path}: cannot be read: {e.Message}", e);
        }
    }
}
