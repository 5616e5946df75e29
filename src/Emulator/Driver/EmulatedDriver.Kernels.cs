using KernelAD.Interop;

namespace KernelAD.Emulator;

/// <summary>Modules and kernels.</summary>
public unsafe partial class EmulatedDriver
{
    /// <inheritdoc/>
    public CudaModule LoadModule(CudaContext context, string name, string ptx)
    {
        const string Call = "cuModuleLoadDataEx";
        ArgumentNullException.ThrowIfNull(ptx);
        using HandleLease lease = new(context);
        lock (_lock)
        {
            Enter(lease, Call);
            RefuseWhileCapturing(Call);
            try
            {
                return new CudaModule(this, context, Add(new EmulatedModule(PtxModule.Parse(name, ptx, _target))), name, log: "");
            }
            catch (PtxException e)
            {
                int code = e.Fault switch
                {
                    CudaModuleFault.WrongArchitecture => CudaResult.NoBinaryForGpu,
                    CudaModuleFault.UnsupportedPtxVersion => CudaResult.UnsupportedPtxVersion,
                    _ => CudaResult.InvalidPtx,
                };
                throw new CudaModuleException(name, DriverResult.Error(Call, code), e.Message, Devices[0].Name);
            }
        }
    }

    /// <inheritdoc/>
    public CudaFunction GetFunction(CudaModule module, string entry)
    {
        const string Call = "cuModuleGetFunction";
        using HandleLease lease = new(module);
        lock (_lock)
        {
            Enter(Call);
            EmulatedModule loaded = Find<EmulatedModule>(lease.Value, Call);
            if (!loaded.Functions.TryGetValue(entry, out nint handle))
            {
                handle = loaded.Module.Kernels.TryGetValue(entry, out PtxKernel? kernel)
                    ? Add(new EmulatedFunction(kernel))
                    : throw Failure(Call, CudaResult.NotFound, $"It was '{entry}' in module '{module.Name}'.");
                loaded.Functions.Add(entry, handle);
            }

            return new CudaFunction(module, handle, entry);
        }
    }

    /// <summary>What the emulator's compiler made of a kernel. Registers are those that are live at a time: NVIDIA's compiler needs more.</summary>
    /// <inheritdoc/>
    public CudaFunctionInfo FunctionInfo(CudaFunction function)
    {
        const string Call = "cuFuncGetAttribute";
        using HandleLease lease = new(function.Module);
        lock (_lock)
        {
            Enter(Call);
            PtxKernel kernel = Find<EmulatedFunction>(function.Handle, Call).Kernel;
            return new CudaFunctionInfo(kernel.EstimatedRegisters, kernel.StaticSharedBytes, kernel.LocalBytes, kernel.MaxThreads);
        }
    }

    /// <inheritdoc/>
    public void AllowDynamicSharedMemory(CudaFunction function, int length)
    {
        const string Call = "cuFuncSetAttribute";
        using HandleLease lease = new(function.Module);
        lock (_lock)
        {
            Enter(Call);
            EmulatedFunction found = Find<EmulatedFunction>(function.Handle, Call);
            int most = _target.MaxSharedMemoryPerBlock - found.Kernel.StaticSharedBytes;
            if (length < 0 || length > most)
            {
                throw Failure(Call, CudaResult.InvalidValue, $"Kernel '{function.Name}' may have {most} bytes of dynamic shared memory, not {length}.");
            }

            found.MaxDynamicSharedMemory = length;
        }
    }

    /// <inheritdoc/>
    public void Launch(CudaFunction function, LaunchSize grid, LaunchSize block, int sharedMemory, CudaStream stream, ReadOnlySpan<nint> parameters)
    {
        const string Call = "cuLaunchKernel";
        using HandleLease module = new(function.Module);
        using HandleLease lease = new(stream);
        lock (_lock)
        {
            EmulatedStream queue = Begin(lease, Call);
            EmulatedFunction found = Find<EmulatedFunction>(function.Handle, Call);
            byte[] values = CopyParameters(found.Kernel, parameters);
            try
            {
                KernelRun.Check(found.Kernel, grid, block, sharedMemory, values);
            }
            catch (ArgumentException e)
            {
                throw Failure(Call, CudaResult.InvalidValue, e.Message);
            }

            if (sharedMemory > found.MaxDynamicSharedMemory)
            {
                string advice = $"Kernel '{function.Name}' may have {found.MaxDynamicSharedMemory} bytes of dynamic shared memory, not {sharedMemory}";
                throw Failure(Call, CudaResult.InvalidValue, $"{advice}: {nameof(AllowDynamicSharedMemory)} comes first.");
            }

            Submit(queue, new StreamWork.Kernel(found.Kernel, grid, block, sharedMemory, values), Call);
        }
    }

    /// <inheritdoc/>
    public bool UnloadModule(nint context, nint module)
    {
        lock (_lock)
        {
            if (context != _context || !_objects.TryGetValue(module, out object? found) || found is not EmulatedModule loaded)
            {
                return false;
            }

            foreach (nint function in loaded.Functions.Values)
            {
                _objects.Remove(function);
            }

            return _objects.Remove(module);
        }
    }

    private static byte[] CopyParameters(PtxKernel kernel, ReadOnlySpan<nint> addresses)
    {
        if (addresses.Length != kernel.Parameters.Count || addresses.Contains(0))
        {
            string given = $"{addresses.Length} addresses were given, of which {addresses.Count(0)} are null";
            throw Failure("cuLaunchKernel", CudaResult.InvalidValue, $"Kernel '{kernel.Name}' has {kernel.Parameters.Count} parameters; {given}.");
        }

        byte[] values = new byte[kernel.ParameterBytes];
        for (int i = 0; i < addresses.Length; i++)
        {
            PtxParameter parameter = kernel.Parameters[i];
            new ReadOnlySpan<byte>((void*)addresses[i], parameter.Size).CopyTo(values.AsSpan(parameter.Offset));
        }

        return values;
    }
}
