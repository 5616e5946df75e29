using System.Runtime.CompilerServices;
using KernelAD.Kernels.Device;
using KernelAD.Kernels.Tiles;

namespace KernelAD.Kernels;

/// <summary>
/// What happens to a sum before it is stored: f(sum + bias) · scale + residual, or f((sum + bias) · scale + residual), rounded to the result's type. The
/// switches are uniform over the grid and outside every main loop, so one kernel serves all layers.
/// </summary>
internal static class Epilogue
{
    /// <summary>Finishes and stores four neighbouring columns of a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(LinearArguments a, long y, int row, int column, F4 v)
    {
        if (row < a.M && column < a.N)
        {
            F4 bias = Bias(a, column), residual = Residual(a, row, column);
            v = Apply(a.Function, Before(a, column, bias, v, residual));
            MatrixResults results = default;
            results.Start(column);
            results.Store(a, y, row, After(a, column, v, residual));
        }
    }

    /// <summary>
    /// Finishes and stores four neighbouring columns of four rows. All loads come before the first use, and f is applied to all rows at once: one after the
    /// other, each would wait for its own loads.
    /// </summary>
    /// <param name="a">The product.</param>
    /// <param name="results">Where the results go, from <paramref name="column"/> on.</param>
    /// <param name="y">Address of element 0.</param>
    /// <param name="row">The first row.</param>
    /// <param name="step">Distance of the rows.</param>
    /// <param name="column">The first column.</param>
    /// <param name="bias">The columns' bias.</param>
    /// <param name="v">The sums.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreRows<TResults>(LinearArguments a, TResults results, long y, int row, int step, int column, F4 bias, EpilogueRows v)
        where TResults : struct, IResultRows
    {
        if (column < a.N)
        {
            EpilogueRows residual = default;
            if (a.Residual != 0)
            {
                residual.R0 = ResidualOrZero(a, row, column);
                residual.R1 = ResidualOrZero(a, row + step, column);
                residual.R2 = ResidualOrZero(a, row + (2 * step), column);
                residual.R3 = ResidualOrZero(a, row + (3 * step), column);
            }

            v.R0 = Before(a, column, bias, v.R0, residual.R0);
            v.R1 = Before(a, column, bias, v.R1, residual.R1);
            v.R2 = Before(a, column, bias, v.R2, residual.R2);
            v.R3 = Before(a, column, bias, v.R3, residual.R3);
            v = Apply(a.Function, v);
            results.Store(a, y, row, After(a, column, v.R0, residual.R0));
            results.Store(a, y, row + step, After(a, column, v.R1, residual.R1));
            results.Store(a, y, row + (2 * step), After(a, column, v.R2, residual.R2));
            results.Store(a, y, row + (3 * step), After(a, column, v.R3, residual.R3));
        }
    }

    /// <summary>The bias of four columns; zeros if there is none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static F4 Bias(LinearArguments a, int column)
    {
        F4 bias = default;
        if (a.Bias != 0 && column < a.N)
        {
            bias = Global.Float4(a.Bias + ((long)column * sizeof(float)));
        }

        return bias;
    }

    /// <summary>f of four values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static F4 Apply(EpilogueFunction function, F4 v)
    {
        if (function == EpilogueFunction.Gelu)
        {
            return Gelu(v);
        }

        if (function == EpilogueFunction.Relu)
        {
            return Relu(v);
        }

        if (function == EpilogueFunction.Swish)
        {
            return Swish(v);
        }

        if (function == EpilogueFunction.Sigmoid)
        {
            return Sigmoid(v);
        }

        if (function == EpilogueFunction.Tanh)
        {
            return Tanh(v);
        }

        if (function == EpilogueFunction.Softplus)
        {
            return Softplus(v);
        }

        return v;
    }

    /// <summary>f of four times four values, all at once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EpilogueRows Apply(EpilogueFunction function, EpilogueRows v)
    {
        if (function == EpilogueFunction.Gelu)
        {
            return new EpilogueRows { R0 = Gelu(v.R0), R1 = Gelu(v.R1), R2 = Gelu(v.R2), R3 = Gelu(v.R3) };
        }

        if (function == EpilogueFunction.Relu)
        {
            return new EpilogueRows { R0 = Relu(v.R0), R1 = Relu(v.R1), R2 = Relu(v.R2), R3 = Relu(v.R3) };
        }

        if (function == EpilogueFunction.Swish)
        {
            return new EpilogueRows { R0 = Swish(v.R0), R1 = Swish(v.R1), R2 = Swish(v.R2), R3 = Swish(v.R3) };
        }

        if (function == EpilogueFunction.Sigmoid)
        {
            return new EpilogueRows { R0 = Sigmoid(v.R0), R1 = Sigmoid(v.R1), R2 = Sigmoid(v.R2), R3 = Sigmoid(v.R3) };
        }

        if (function == EpilogueFunction.Tanh)
        {
            return new EpilogueRows { R0 = Tanh(v.R0), R1 = Tanh(v.R1), R2 = Tanh(v.R2), R3 = Tanh(v.R3) };
        }

        if (function == EpilogueFunction.Softplus)
        {
            return new EpilogueRows { R0 = Softplus(v.R0), R1 = Softplus(v.R1), R2 = Softplus(v.R2), R3 = Softplus(v.R3) };
        }

        return v;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F4 Gelu(F4 v) => new() { X = Numbers.Gelu(v.X), Y = Numbers.Gelu(v.Y), Z = Numbers.Gelu(v.Z), W = Numbers.Gelu(v.W) };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F4 Relu(F4 v) => new() { X = Numbers.Relu(v.X), Y = Numbers.Relu(v.Y), Z = Numbers.Relu(v.Z), W = Numbers.Relu(v.W) };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F4 Swish(F4 v) => new() { X = Numbers.Swish(v.X), Y = Numbers.Swish(v.Y), Z = Numbers.Swish(v.Z), W = Numbers.Swish(v.W) };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F4 Sigmoid(F4 v) => new() { X = Numbers.Sigmoid(v.X), Y = Numbers.Sigmoid(v.Y), Z = Numbers.Sigmoid(v.Z), W = Numbers.Sigmoid(v.W) };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F4 Tanh(F4 v) => new() { X = Numbers.Tanh(v.X), Y = Numbers.Tanh(v.Y), Z = Numbers.Tanh(v.Z), W = Numbers.Tanh(v.W) };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F4 Softplus(F4 v) =>
        new() { X = Numbers.Softplus(v.X), Y = Numbers.Softplus(v.Y), Z = Numbers.Softplus(v.Z), W = Numbers.Softplus(v.W) };

    /// <summary>What f is applied to.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F4 Before(LinearArguments a, int column, F4 bias, F4 v, F4 residual)
    {
        v.X += bias.X;
        v.Y += bias.Y;
        v.Z += bias.Z;
        v.W += bias.W;
        return a.ActivateSum != 0 ? ScaledAndAdded(a, column, v, residual) : v;
    }

    /// <summary>What becomes of f's result.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F4 After(LinearArguments a, int column, F4 v, F4 residual) => a.ActivateSum == 0 ? ScaledAndAdded(a, column, v, residual) : v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F4 ScaledAndAdded(LinearArguments a, int column, F4 v, F4 residual)
    {
        if (a.Scale != 0)
        {
            F4 scale = Global.Float4(a.Scale + ((long)column * sizeof(float)));
            v.X *= scale.X;
            v.Y *= scale.Y;
            v.Z *= scale.Z;
            v.W *= scale.W;
        }

        v.X += residual.X;
        v.Y += residual.Y;
        v.Z += residual.Z;
        v.W += residual.W;
        return v;
    }

    /// <summary>The residual of a row, if there is such a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F4 ResidualOrZero(LinearArguments a, int row, int column)
    {
        F4 residual = default;
        if (row < a.M)
        {
            residual = Residual(a, row, column);
        }

        return residual;
    }

    /// <summary>The residual of a row; zeros if there is no residual.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F4 Residual(LinearArguments a, int row, int column)
    {
        F4 residual = default;
        if (a.Residual != 0)
        {
            long address = a.Residual + ((((long)row * a.ResidualStride) + column) * sizeof(float));
            if (a.Vectors != 0)
            {
                residual = Global.Float4(address);
            }
            else
            {
                int columns = a.N - column;
                residual.X = Global.Float(address);
                residual.Y = columns > 1 ? Global.Float(address + 4) : 0;
                residual.Z = columns > 2 ? Global.Float(address + 8) : 0;
                residual.W = columns > 3 ? Global.Float(address + 12) : 0;
            }
        }

        return residual;
    }
}

/// <summary>Four neighbouring columns of four rows.</summary>
internal struct EpilogueRows
{
    /// <summary>First row.</summary>
    public F4 R0;

    /// <summary>Second row.</summary>
    public F4 R1;

    /// <summary>Third row.</summary>
    public F4 R2;

    /// <summary>Fourth row.</summary>
    public F4 R3;
}
