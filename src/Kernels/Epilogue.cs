using System.Runtime.CompilerServices;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels;

/// <summary>
/// What happens to a sum before it is stored: f(sum + bias) · scale + residual, or f((sum + bias) · scale + residual), rounded to the result's type. The switches are uniform over the grid and
/// outside every main loop, so one kernel serves all layers.
/// </summary>
internal static class Epilogue
{
    /// <summary>Finishes and stores four neighbouring columns of a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(LinearArguments a, long y, int row, int column, F4 v)
    {
        if (row >= a.M || column >= a.N)
        {
            return;
        }

        if (a.Bias != 0)
        {
            F4 bias = Global.Float4(a.Bias + ((long)column * sizeof(float)));
            v.X += bias.X;
            v.Y += bias.Y;
            v.Z += bias.Z;
            v.W += bias.W;
        }

        if (a.ActivateSum == 0)
        {
            v = Apply(a.Function, v);
        }

        if (a.Scale != 0)
        {
            F4 scale = Global.Float4(a.Scale + ((long)column * sizeof(float)));
            v.X *= scale.X;
            v.Y *= scale.Y;
            v.Z *= scale.Z;
            v.W *= scale.W;
        }

        int columns = Numbers.Min(a.N - column, 4);
        if (a.Residual != 0)
        {
            long address = a.Residual + ((((long)row * a.ResidualStride) + column) * sizeof(float));
            F4 residual = default;
            if (a.Vectors != 0)
            {
                residual = Global.Float4(address);
            }
            else
            {
                residual.X = Global.Float(address);
                residual.Y = columns > 1 ? Global.Float(address + 4) : 0;
                residual.Z = columns > 2 ? Global.Float(address + 8) : 0;
                residual.W = columns > 3 ? Global.Float(address + 12) : 0;
            }

            v.X += residual.X;
            v.Y += residual.Y;
            v.Z += residual.Z;
            v.W += residual.W;
        }

        if (a.ActivateSum != 0)
        {
            v = Apply(a.Function, v);
        }

        Results.Store(y, ((long)row * a.YStride) + column, v, columns, a.Type, a.Vectors != 0);
    }

    /// <summary>f of four values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static F4 Apply(EpilogueFunction function, F4 v)
    {
        if (function == EpilogueFunction.Gelu)
        {
            return new F4 { X = Numbers.Gelu(v.X), Y = Numbers.Gelu(v.Y), Z = Numbers.Gelu(v.Z), W = Numbers.Gelu(v.W) };
        }

        if (function == EpilogueFunction.Relu)
        {
            return new F4 { X = Numbers.Relu(v.X), Y = Numbers.Relu(v.Y), Z = Numbers.Relu(v.Z), W = Numbers.Relu(v.W) };
        }

        if (function == EpilogueFunction.Swish)
        {
            return new F4 { X = Numbers.Swish(v.X), Y = Numbers.Swish(v.Y), Z = Numbers.Swish(v.Z), W = Numbers.Swish(v.W) };
        }

        if (function == EpilogueFunction.Sigmoid)
        {
            return new F4 { X = Numbers.Sigmoid(v.X), Y = Numbers.Sigmoid(v.Y), Z = Numbers.Sigmoid(v.Z), W = Numbers.Sigmoid(v.W) };
        }

        if (function == EpilogueFunction.Tanh)
        {
            return new F4 { X = Numbers.Tanh(v.X), Y = Numbers.Tanh(v.Y), Z = Numbers.Tanh(v.Z), W = Numbers.Tanh(v.W) };
        }

        if (function == EpilogueFunction.Softplus)
        {
            return new F4 { X = Numbers.Softplus(v.X), Y = Numbers.Softplus(v.Y), Z = Numbers.Softplus(v.Z), W = Numbers.Softplus(v.W) };
        }

        return v;
    }
}
