using KernelAD.Bench;

return args switch
{
    ["--worker", string kind, string model, string threads, ..] => Worker.Serve(kind, model, int.Parse(threads), args is [.., "--cap", string cap] ? long.Parse(cap) : null),
    ["cpu", ..] => CpuBenchmark.Run(Options.Parse(args.AsSpan(1))),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("usage: bench/run.sh cpu [--models vitad,intra] [--threads 1,2] [--rounds N] [--no-gemm]");
    return 2;
}
