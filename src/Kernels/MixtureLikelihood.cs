using System.Runtime.CompilerServices;
using ILGPU;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels;

/// <summary>
/// Negative log-likelihood of rows under mixtures of diagonal Gaussians. A block a row; a thread stays with one Gaussian and walks down the dimensions beside its neighbours, so that
/// together they read μ and v in order. Models: VT-ADL. FLOPs 8 an element of μ. Bytes: μ and v once.
/// </summary>
internal static class MixtureLikelihood
{
    /// <summary>The kernels to compile.</summary>
    public static IEnumerable<KernelDefinition> Definitions() =>
        [KernelCatalog.Kernel<MixtureLikelihoodArguments>("mixture_likelihood", MixtureLikelihoodArguments.Threads, 4, 0, 40, Compute)];

    /// <summary>A block a row.</summary>
    public static void Compute(MixtureLikelihoodArguments a)
    {
        const int BlockThreads = MixtureLikelihoodArguments.Threads;
        int thread = Threads.Index, row = Grid.IdxX;
        uint sums = Shared.Base(), likelihoods = sums + (BlockThreads * sizeof(float));
        long x = a.X + ((long)row * a.Width * sizeof(float)), table = (long)row * a.Width * a.Components * sizeof(float);
        for (int first = 0; first < a.Components; first += BlockThreads)
        {
            int components = Numbers.Min(a.Components - first, BlockThreads), teams = BlockThreads / components;
            int team = thread / components, component = thread - (team * components);
            float sum = 0;
            for (int d = team; d < a.Width && team < teams; d += teams)
            {
                long offset = table + ((((long)d * a.Components) + first + component) * sizeof(float));
                float v = Global.Float(a.LogVariances + offset), distance = Global.Float(x + ((long)d * sizeof(float))) - Global.Float(a.Means + offset);
                sum += Numbers.Fma(distance * distance, Numbers.Exp2(-Numbers.Log2E * v), v);
            }

            Shared.Store(sums + (uint)(thread * sizeof(float)), sum);
            Threads.Barrier();
            if (thread < components)
            {
                for (int i = 1; i < teams; i++)
                {
                    sum += Shared.Float(sums + (uint)(((i * components) + thread) * sizeof(float)));
                }

                Shared.Store(likelihoods + (uint)((first + thread) * sizeof(float)), 0.5f * (a.Constant + sum));
            }

            Threads.Barrier();
        }

        if (Threads.Warp == 0)
        {
            float result = Mix(a, likelihoods, a.Shares + ((long)row * a.Components * sizeof(float)));
            if (thread == 0)
            {
                Global.Store(a.Y + ((long)row * sizeof(float)), result);
            }
        }
    }

    /// <summary>What the Gaussians' likelihoods make together, in every lane of the warp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Mix(MixtureLikelihoodArguments a, uint likelihoods, long shares)
    {
        // The likeliest Gaussian's term is 1, so that none overflows and the sum is no zero.
        float least = 0;
        if (a.LogSumExp != 0)
        {
            float largest = float.NegativeInfinity;
            for (int k = Threads.Lane; k < a.Components; k += 32)
            {
                largest = Numbers.MaxOrNaN(largest, -Shared.Float(likelihoods + (uint)(k * sizeof(float))));
            }

            least = -Threads.WarpMax(largest);
        }

        float sum = 0;
        for (int k = Threads.Lane; k < a.Components; k += 32)
        {
            float likelihood = Shared.Float(likelihoods + (uint)(k * sizeof(float))), share = Global.Float(shares + ((long)k * sizeof(float)));
            float term = a.LogSumExp != 0 ? Numbers.Exp2(Numbers.Log2E * (least - likelihood)) : likelihood;
            sum = Numbers.Fma(share, term, sum);
        }

        sum = Threads.WarpSum(sum);
        return a.LogSumExp != 0 ? least - (Numbers.Ln2 * Numbers.Log2(sum)) : sum;
    }
}
