// dotnet run --project samples/batch -c Release -- samples/fabric/intra-fabric.safetensors samples/fabric/test
using KernelAD.Imaging;

string[] pictures = [.. Directory.GetFiles(args[1], "*.png", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];
using PicturePipeline pipeline = PicturePipeline.Load(args[0], pictures: pictures.Length);

// Every core works, memory stays bounded, results come in order; await foreach leaves the thread free meanwhile.
IAsyncEnumerable<string> lines = pipeline.RunAsync(
    pictures,
    path => PictureFile.Read(path),
    (path, outcome) => outcome.Error ?? $"{outcome.Score:F6} {Path.GetFileName(path)}");
await foreach (string line in lines)
{
    Console.WriteLine(line);
}
