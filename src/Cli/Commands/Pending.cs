using System.CommandLine;
namespace KernelAD.Cli.Commands;
internal static class DetectCommand { public static Command Create(CancellationToken c) => new("detect"); }
internal static class PreprocessCommand { public static Command Create(CancellationToken c) => new("preprocess"); }
internal static class ExportCommand { public static Command Create() => new("export"); }
internal static class DoctorCommand { public static Command Create() => new("doctor"); }
internal static class DemoCommand { public static Command Create(CancellationToken c) => new("demo"); }
