// dotnet run --project samples/quickstart -c Release -- samples/fabric/intra-fabric.safetensors samples/fabric/test/defect/0011_006_02.png
using KernelAD;
using KernelAD.Imaging;

using AnomalyDetector detector = AnomalyDetector.Load(args[0], new DetectorOptions { Threshold = 0.01 });
AnomalyResult result = detector.Detect(args[1]);
Console.WriteLine($"{result.Score:F4} {(result.IsAnomalous ? "NOK" : "OK")}");
result.SaveOverlay("overlay.png");
