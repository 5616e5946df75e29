using KernelAD.Bench;

return args switch
{
    ["--worker", string kind, string model, string threads] => Worker.Serve(kind, model, int.Parse(threads), memoryCap: null),
    ["--worker", string kind, string model, string threads, string cap] => Worker.Serve(kind, model, int.Parse(threads), long.Parse(cap)),
    ["cpu", ..] => CpuBenchmark.Run(Options.Parse(args.AsSpan(1))),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("usage: bench/run.sh cpu [--models vitad,intra,uniad,adtr,vtadl,utrad] [--threads 1,2] [--rounds N] [--no-gemm]");
    return 2;
}
