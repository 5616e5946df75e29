using KernelAD.Graph;

namespace KernelAD.Passes;

/// <summary>The passes in the order in which a plan applies them.</summary>
internal static class PassPipeline
{
    public static ComputeGraph Apply(ComputeGraph graph) =>
        SumBeforeResize.Apply(FuseEpilogue.Apply(FoldConstants.Apply(FoldBatchNorm.Apply(RemoveUnused.Apply(graph)))));
}
