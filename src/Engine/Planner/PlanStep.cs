using KernelAD.Tensors;

namespace KernelAD.Planner;

/// <summary>One step of a plan as listings show it.</summary>
/// <param name="Name">The parameters' key for layers, otherwise the value's name or the operator.</param>
/// <param name="Operator">What runs, fused parts included: "Linear+Gelu".</param>
/// <param name="Shape">Shape of the result per execution.</param>
/// <param name="Repeats">Executions per run: the number of slices inside a sliced region, otherwise 1.</param>
/// <param name="Flops">Floating-point operations per execution.</param>
/// <param name="Bytes">Bytes read and written per execution, each operand counted once.</param>
public sealed record PlanStep(string Name, string Operator, Shape Shape, int Repeats, long Flops, long Bytes);
