namespace KernelAD.Evaluation.Metrics;

/// <summary>Whose definitions are used.</summary>
public enum MetricVariant
{
    /// <summary>Exact, by the definitions of scikit-learn (AUROC, AP, F1-max) and MVTec (AUPRO).</summary>
    Default,

    /// <summary>
    /// As the evaluator of ADer (https://github.com/zhangzjn/ADer) computes them on exact scores (its <c>use_adeval = False</c>): to compare with its tables.
    /// </summary>
    Ader,
}
