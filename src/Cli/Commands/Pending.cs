using System.CommandLine;
namespace KernelAD.Cli.Commands;
internal static class DoctorCommand { public static Command Create() => new("doctor"); }
internal static class DemoCommand { public static Command Create(CancellationToken c) => new("demo"); }
