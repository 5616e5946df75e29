using KernelAD.Bench;

return args switch
{
    ["--worker", string kind, string model, string threads] => Worker.Serve(kind, model, int.Parse(threads), memoryCap: null),
    ["--worker", string kind, string model, string threads, string cap] => Worker.Serve(kind, model, int.Parse(threads), long.Parse(cap)),
    ["--metrics-worker", string file, string threads] => MetricsBenchmark.Serve(file, int.Parse(threads)),
    ["metrics", "--results", _] => MetricsBenchmark.Run(images: 200, side: 512, Environment.GetEnvironmentVariable("PYTHON") ?? "python3"),
    ["cpu", ..] => CpuBenchmark.Run(Options.Parse(args.AsSpan(1))),
    ["models", string folder, .. string[] keys] => WriteModels(folder, keys),
    _ => Usage(),
};

static int WriteModels(string folder, string[] keys)
{
    Directory.CreateDirectory(folder);
    foreach (PublishedModel model in PublishedModel.All.Where(m => keys.Length == 0 || keys.Contains(m.Key)))
    {
        Console.WriteLine(model.Write(folder).Safetensors);
    }

    return 0;
}

static int Usage()
{
    Console.Error.WriteLine("usage: bench/run.sh cpu [--models vitad,intra,uniad,adtr,vtadl,utrad] [--threads 1,2] [--rounds N] [--no-gemm] | metrics | models FOLDER [KEY…]");
    return 2;
}
