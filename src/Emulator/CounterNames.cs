namespace KernelAD.Emulator;

/// <summary>The names of <see cref="LaunchCounters"/>: Nsight Compute's, and names under <c>kernelad__</c> where it has none.</summary>
public static class CounterNames
{
    /// <summary>Instructions executed, one for each warp.</summary>
    public const string Instructions = "smsp__inst_executed.sum";

    /// <summary>Instructions of the FP32 multiply-add pipe: FADD, FMUL, FFMA and integer multiplication.</summary>
    public const string FmaPipe = "smsp__inst_executed_pipe_fma.sum";

    /// <summary>Instructions of the integer, logic, comparison and move pipe.</summary>
    public const string AluPipe = "smsp__inst_executed_pipe_alu.sum";

    /// <summary>Instructions of the FP16 pipe outside the tensor cores.</summary>
    public const string HalfPipe = "smsp__inst_executed_pipe_fp16.sum";

    /// <summary>Instructions of the FP64 pipe.</summary>
    public const string DoublePipe = "smsp__inst_executed_pipe_fp64.sum";

    /// <summary>Instructions of the special functions and conversions pipe.</summary>
    public const string SpecialPipe = "smsp__inst_executed_pipe_xu.sum";

    /// <summary>Tensor-core instructions.</summary>
    public const string TensorPipe = "smsp__inst_executed_pipe_tensor.sum";

    /// <summary>Load, store and shuffle instructions.</summary>
    public const string LoadStorePipe = "smsp__inst_executed_pipe_lsu.sum";

    /// <summary>Branches, barriers and exits.</summary>
    public const string ControlPipe = "smsp__inst_executed_pipe_cbu.sum";

    /// <summary>Barriers executed, one for each warp.</summary>
    public const string Barriers = "kernelad__inst_executed_op_barrier.sum";

    /// <summary>Shuffles executed, one for each warp.</summary>
    public const string Shuffles = "kernelad__inst_executed_op_shuffle.sum";

    /// <summary>Matrix loads from shared memory (LDSM) executed, one for each warp.</summary>
    public const string MatrixLoads = "smsp__inst_executed_op_ldsm.sum";

    /// <summary>Asynchronous copies from global to shared memory (LDGSTS) executed, one for each warp.</summary>
    public const string AsyncCopies = "smsp__inst_executed_op_ldgsts.sum";

    /// <summary>Instructions executed, one for each thread that was not switched off.</summary>
    public const string ThreadInstructions = "smsp__thread_inst_executed_pred_on.sum";

    /// <summary>FP32 fused multiply-adds, one for each thread.</summary>
    public const string ThreadFfma = "smsp__sass_thread_inst_executed_op_ffma_pred_on.sum";

    /// <summary>FP32 additions, one for each thread.</summary>
    public const string ThreadFadd = "smsp__sass_thread_inst_executed_op_fadd_pred_on.sum";

    /// <summary>FP32 multiplications, one for each thread.</summary>
    public const string ThreadFmul = "smsp__sass_thread_inst_executed_op_fmul_pred_on.sum";

    /// <summary>
    /// Floating-point operations outside the tensor cores: 2 a fused multiply-add, 1 an addition or multiplication, twice that for packed halves.
    /// </summary>
    public const string Flops = "kernelad__flops.sum";

    /// <summary>Operations of the tensor cores: 2·m·n·k each.</summary>
    public const string TensorOperations = "kernelad__tensor_ops.sum";

    /// <summary>Global loads, one for each warp.</summary>
    public const string GlobalLoadRequests = "l1tex__t_requests_pipe_lsu_mem_global_op_ld.sum";

    /// <summary>32-byte sectors that global loads touch, asynchronous copies included.</summary>
    public const string GlobalLoadSectors = "l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum";

    /// <summary>Global stores, one for each warp.</summary>
    public const string GlobalStoreRequests = "l1tex__t_requests_pipe_lsu_mem_global_op_st.sum";

    /// <summary>32-byte sectors that global stores touch.</summary>
    public const string GlobalStoreSectors = "l1tex__t_sectors_pipe_lsu_mem_global_op_st.sum";

    /// <summary>Global atomics and reductions, one for each warp.</summary>
    public const string GlobalAtomicRequests = "l1tex__t_requests_pipe_lsu_mem_global_op_atom.sum";

    /// <summary>Bytes that threads load from global memory, asynchronous copies included.</summary>
    public const string GlobalLoadBytes = "kernelad__global_bytes_op_ld.sum";

    /// <summary>Bytes that threads store to global memory.</summary>
    public const string GlobalStoreBytes = "kernelad__global_bytes_op_st.sum";

    /// <summary>Passes that shared loads take, matrix loads included.</summary>
    public const string SharedLoadWavefronts = "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ld.sum";

    /// <summary>Passes that shared stores take, asynchronous copies included.</summary>
    public const string SharedStoreWavefronts = "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_st.sum";

    /// <summary>Passes of shared loads beyond those that conflict-free addresses would take.</summary>
    public const string SharedLoadConflicts = "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_ld.sum";

    /// <summary>Passes of shared stores beyond those that conflict-free addresses would take.</summary>
    public const string SharedStoreConflicts = "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_st.sum";

    /// <summary>Branches where a warp's threads went different ways.</summary>
    public const string DivergentBranches = "smsp__sass_branch_targets_threads_divergent.sum";
}
