// dotnet run --project samples/camera -c Release -- samples/fabric/intra-fabric.safetensors 20
using System.Globalization;
using KernelAD;
using KernelAD.Preprocessing;

const int Width = 640, Height = 480;
int frames = int.Parse(args[1], CultureInfo.InvariantCulture);
using AnomalyDetector detector = AnomalyDetector.Load(args[0], new DetectorOptions { Threshold = 0.01 });
detector.Warmup();

// All the memory of the loop: a camera writes its grey frames into one buffer, the detector its map into another.
byte[] frame = new byte[Width * Height];
float[] map = new float[detector.MapWidth * detector.MapHeight];
uint noise = 1;
int rejected = 0;
long allocated = 0;
TimeSpan slowest = TimeSpan.Zero;
for (int i = 0; i < frames; i++)
{
    Grab();
    float score = detector.Detect(new PictureView(frame, Width, Height, PixelFormat.Gray8), map, out DetectionTimings timings);
    rejected += score >= detector.Threshold ? 1 : 0;
    TimeSpan time = timings.Preprocess + timings.Network;
    slowest = time > slowest ? time : slowest;
    if (i == 0)
    {
        // The first frame brings the resampling weights of its size.
        allocated = GC.GetTotalAllocatedBytes(precise: true);
    }
}

allocated = GC.GetTotalAllocatedBytes(precise: true) - allocated;
Console.WriteLine($"{frames} frames, {rejected} rejected, slowest {slowest.TotalMilliseconds:F1} ms, {allocated} bytes allocated after the first");

// Stands for the camera's driver: a weave of threads, with noise.
void Grab()
{
    for (int i = 0; i < frame.Length; i++)
    {
        noise = (noise * 1664525) + 1013904223;
        frame[i] = (byte)(96 + (i % Width / 3 % 2 * 32) + (i / Width / 3 % 2 * 32) + (noise >> 29));
    }
}
