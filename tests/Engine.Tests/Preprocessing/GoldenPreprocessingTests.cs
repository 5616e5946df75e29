using System.Text.Json.Nodes;
using KernelAD.Models;
using KernelAD.Preprocessing;

namespace KernelAD.Engine.Tests.Preprocessing;

/// <summary>Pictures through Pillow and torchvision, recorded, against ours.</summary>
[TestFixture]
internal sealed class GoldenPreprocessingTests
{
    private const string Tensors = "vitad/preprocess/io.safetensors";

    [TestCase("published")]
    [TestCase("small")]
    [TestCase("crop")]
    [TestCase("crop_pad")]
    [TestCase("short_side")]
    public void Bytes_equal_Pillow_and_values_equal_torchvision(string name)
    {
        JsonNode info = JsonNode.Parse(File.ReadAllText(Fixture.File("golden/vitad/preprocess/case.json")))!["cases"]![name]!;
        int height = (int)info["shape"]![0]!;
        int width = (int)info["shape"]![1]!;
        byte[] pixels = [.. GoldenIo.Formula((string)info["name"]!, height * width * 3).Select(u => (byte)Math.Floor((u + 1) * 128))];
        int? shortSide = info["resize"] is JsonValue single ? (int)single : null;
        PicturePreprocessor preprocessor = new(new PicturePreprocessing(
            shortSide is null ? (int)info["resize"]![0]! : 0,
            shortSide is null ? (int)info["resize"]![1]! : 0,
            shortSide,
            Interpolation.Bilinear,
            (int)info["center_crop"]![0]!,
            (int)info["center_crop"]![1]!,
            [0.485f, 0.456f, 0.406f],
            [0.229f, 0.224f, 0.225f]));
        PictureView picture = new(pixels, width, height, PixelFormat.Rgb24);
        PreprocessingScratch scratch = new();

        byte[] cropped = new byte[preprocessor.Length];
        Array.Fill(cropped, (byte)77);
        preprocessor.Crop(picture, cropped, scratch);
        Assert.That(cropped, Is.EqualTo(GoldenIo.Read<byte>(Tensors, name + ".cropped_u8")));

        float[] values = new float[preprocessor.Length];
        Array.Fill(values, float.NaN);
        preprocessor.Process(picture, values, scratch);
        if (name == "published")
        {
            int side = 256;
            float[] sampled = [.. Enumerable.Range(0, 3 * 32 * 32).Select(i => values[(i / 1024 * side * side) + (i / 32 % 32 * 8 * side) + (i % 32 * 8)])];
            Assert.That(sampled, Is.EqualTo(GoldenIo.Read<float>(Tensors, "published.normalised.sub")));
        }
        else
        {
            Assert.That(values, Is.EqualTo(GoldenIo.Read<float>(Tensors, name + ".normalised")));
        }
    }

    [TestCase("UTRAD", "down")]
    [TestCase("UTRAD", "up")]
    [TestCase("ADTR", "down")]
    [TestCase("ADTR", "nonsquare")]
    [TestCase("UniAD", "down")]
    [TestCase("UniAD", "nonsquare")]
    [TestCase("UniAD", "up")]
    [TestCase("UniAD", "cifar")]
    public void A_model_sees_what_Pillow_and_torchvision_make_of_a_picture(string model, string name)
    {
        string folder = "golden/" + model.ToLowerInvariant(), tensors = $"{model.ToLowerInvariant()}/preprocess/io.safetensors";
        JsonNode info = JsonNode.Parse(File.ReadAllText(Fixture.File(folder + "/preprocess/case.json")))!["cases"]![name]!;
        int height = (int)info["shape"]![0]!, width = (int)info["shape"]![1]!;
        byte[] pixels = [.. GoldenIo.Formula((string)info["name"]!, height * width * 3).Select(u => (byte)Math.Floor((u + 1) * 128))];
        JsonObject config = JsonNode.Parse(File.ReadAllText(Fixture.File(folder + "/full/case.json")))!["config"]!.AsObject();
        if (name == "cifar")
        {
            config["interpolation"] = "lanczos";
        }

        PicturePreprocessor preprocessor = new(ModelRegistry.Create(model, config).Preprocessing);
        PictureView picture = new(pixels, width, height, PixelFormat.Rgb24);
        PreprocessingScratch scratch = new();

        byte[] resized = new byte[preprocessor.Length];
        Array.Fill(resized, (byte)77);
        preprocessor.Crop(picture, resized, scratch);
        Assert.That(resized, Is.EqualTo(GoldenIo.Read<byte>(tensors, name + ".resized_u8")));

        float[] values = new float[preprocessor.Length];
        Array.Fill(values, float.NaN);
        preprocessor.Process(picture, values, scratch);
        Assert.That(
            GoldenIo.Read<long>(tensors, name + ".normalised.idx").Select(i => values[i]),
            Is.EqualTo(GoldenIo.Read<float>(tensors, name + ".normalised.val")));
    }

    [Test]
    public void Position_table_grows_as_in_the_tiny_teacher()
    {
        float[] expected = GoldenIo.Read<float>("vitad/tiny/io.safetensors", "pos_embed_resampled");
        float[] table = GoldenIo.Read<float>("vitad/tiny/io.safetensors", "pos_embed_file");
        float[] resized = new float[25 * 32];
        FloatResampler.Bicubic(table.AsSpan(32), 3, 3, 32, resized, 5, 5);
        Assert.That(resized, Is.EqualTo(expected[32..]).Within(5e-7f));
    }

    [Test]
    public void Position_table_grows_from_197_to_257_rows()
    {
        float[] table = [.. GoldenIo.Formula("dino.pos_embed", 197 * 384).Select(u => (float)(0.2 * u))];
        float[] resized = new float[256 * 384];
        FloatResampler.Bicubic(table.AsSpan(384), 14, 14, 384, resized, 16, 16);
        float[] expected = GoldenIo.Read<float>("vitad/full/io.safetensors", "pos197_to_257.sub")[8..];
        Assert.That(Enumerable.Range(0, 256 * 8).Select(i => resized[(i / 8 * 384) + (i % 8 * 48)]), Is.EqualTo(expected).Within(5e-7f));
    }
}
