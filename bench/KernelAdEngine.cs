using KernelAD.Golden;
using KernelAD.Preprocessing;

namespace KernelAD.Bench;

/// <summary>Our engine.</summary>
internal sealed class KernelAdEngine : IEngine
{
    private readonly AnomalyDetector _detector;
    private readonly float[] _input;
    private readonly float[] _map;
    private readonly float[] _score = new float[1];

    public KernelAdEngine(string path, int threads, long? memoryCap)
    {
        _detector = AnomalyDetector.Load(path, new DetectorOptions { Threads = threads, MaxMemoryBytes = memoryCap });
        _map = new float[_detector.MapWidth * _detector.MapHeight];
        _input = new float[3 * _map.Length];
        FormulaTensor.FillUniform("input:bench", _input);
    }

    public ReadOnlySpan<float> Map => _map;

    public void Run() => _detector.DetectBatch(_input, count: 1, batch: 1, _map, _score);

    public long AllocatedBytes(int calls)
    {
        const int Width = 300, Height = 200;
        byte[] pixels = new byte[Width * Height * 3];
        new Random(1).NextBytes(pixels);
        Detect(100); // the JIT compiles methods anew after thirty calls, and allocates an object then
        long before = GC.GetTotalAllocatedBytes(precise: true);
        Detect(calls);
        return GC.GetTotalAllocatedBytes(precise: true) - before;

        void Detect(int times)
        {
            for (int i = 0; i < times; i++)
            {
                _detector.Detect(new PictureView(pixels, Width, Height, PixelFormat.Rgb24), _map, out _);
            }
        }
    }

    public void Dispose() => _detector.Dispose();
}
