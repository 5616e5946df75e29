using System.Buffers.Binary;
using System.Reflection;
using System.Reflection.Emit;
using System.Security.Cryptography;
using System.Text;
using KernelAD.Kernels;

namespace KernelAD.KernelCompiler;

/// <summary>
/// Identifies what a kernel is made from, so that an unchanged one is not compiled again: the IL of every type of the kernels' assembly that its method
/// reaches, with members by name (metadata tokens shift when anything is added), its definition, and the compiler itself.
/// </summary>
internal static class SourceFingerprint
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly;

    private static readonly Dictionary<short, OpCode> OpCodesByValue = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(f => (OpCode)f.GetValue(null)!).ToDictionary(o => o.Value);

    // Not the module's version id: through the symbols' list of references that changes with every kernel.
    private static readonly string Compiler = Hash(Text(Reached(typeof(SourceFingerprint).Assembly.GetTypes(), typeof(SourceFingerprint).Assembly)));

    /// <summary>The fingerprint, in hexadecimal.</summary>
    public static string Of(KernelDefinition kernel, KernelTarget target)
    {
        MethodInfo method = kernel.Methods[target];
        StringBuilder source = new();
        source.Append($"{kernel.Name} {kernel.Threads} {kernel.MinBlocks} {kernel.SharedBytes} {target} {method}\n");
        source.Append($"{Compiler} {typeof(ILGPU.Context).Assembly.FullName}\n");
        source.Append(Text(Reached(method)));
        return Hash(source.ToString());
    }

    /// <summary>Names and contents of the types of its assembly that a kernel is made of.</summary>
    public static IReadOnlyDictionary<string, string> Reached(MethodInfo kernel) => Reached([kernel.DeclaringType!, .. kernel.GetGenericArguments()], kernel.Module.Assembly);

    private static SortedDictionary<string, string> Reached(IEnumerable<Type> roots, Assembly assembly)
    {
        SortedDictionary<string, string> types = new(StringComparer.Ordinal);
        foreach (Type root in roots)
        {
            Collect(root, assembly, types);
        }

        return types;
    }

    private static string Text(IEnumerable<KeyValuePair<string, string>> types) => string.Join('\n', types.Select(t => $"{t.Key}\n{t.Value}"));

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private static void Collect(Type type, Assembly assembly, SortedDictionary<string, string> types)
    {
        if (type.HasElementType)
        {
            Collect(type.GetElementType()!, assembly, types);
            return;
        }

        Type definition = type.IsGenericType ? type.GetGenericTypeDefinition() : type;
        if (definition.Assembly != assembly || definition.IsGenericParameter || types.ContainsKey(definition.FullName!))
        {
            return;
        }

        types.Add(definition.FullName!, "");
        StringBuilder text = new();
        HashSet<Type> reached = [];
        foreach (FieldInfo field in definition.GetFields(Declared))
        {
            text.Append($"{field.FieldType} {field.Name} {(field.IsLiteral ? field.GetRawConstantValue() : null)}\n");
            reached.Add(field.FieldType);
        }

        // What defines kernels refers to all of them and is in no kernel.
        IEnumerable<MethodInfo> methods = definition.GetMethods(Declared).Where(m => m.ReturnType != typeof(KernelDefinition) && m.ReturnType != typeof(IEnumerable<KernelDefinition>));
        foreach (MethodBase method in methods.Cast<MethodBase>().Concat(definition.GetConstructors(Declared)))
        {
            text.Append($"{method} {method.MethodImplementationFlags}\n");
            Append(method, text, reached);
        }

        types[definition.FullName!] = text.ToString();
        foreach (Type next in reached)
        {
            Collect(next, assembly, types);
        }
    }

    private static void Append(MethodBase method, StringBuilder text, HashSet<Type> reached)
    {
        if (method.GetMethodBody() is not MethodBody body)
        {
            return;
        }

        reached.UnionWith(body.LocalVariables.Select(v => v.LocalType));
        reached.UnionWith(method.GetParameters().Select(p => p.ParameterType));
        Type[]? typeArguments = method.DeclaringType!.IsGenericType ? method.DeclaringType.GetGenericArguments() : null;
        Type[]? methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : null;
        ReadOnlySpan<byte> il = body.GetILAsByteArray();
        for (int at = 0; at < il.Length;)
        {
            short value = il[at] == 0xFE ? (short)(0xFE00 | il[at + 1]) : il[at];
            OpCode code = OpCodesByValue[value];
            at += code.Size;
            ReadOnlySpan<byte> operand = il.Slice(at, OperandSize(code, il[at..]));
            at += operand.Length;
            text.Append(code.Name).Append(' ');
            switch (code.OperandType)
            {
                case OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineTok or OperandType.InlineType:
                    MemberInfo member = method.Module.ResolveMember(BinaryPrimitives.ReadInt32LittleEndian(operand), typeArguments, methodArguments)!;
                    text.Append(member.DeclaringType).Append("::").Append(member);
                    reached.Add(member as Type ?? member.DeclaringType!);
                    reached.UnionWith(member is MethodBase { IsGenericMethod: true } generic ? generic.GetGenericArguments() : []);
                    break;
                case OperandType.InlineString:
                    text.Append(method.Module.ResolveString(BinaryPrimitives.ReadInt32LittleEndian(operand)));
                    break;
                default:
                    text.Append(Convert.ToHexString(operand));
                    break;
            }

            text.Append('\n');
        }
    }

    private static int OperandSize(OpCode code, ReadOnlySpan<byte> rest) => code.OperandType switch
    {
        OperandType.InlineNone => 0,
        OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
        OperandType.InlineVar => 2,
        OperandType.InlineI8 or OperandType.InlineR => 8,
        OperandType.InlineSwitch => 4 + (4 * BinaryPrimitives.ReadInt32LittleEndian(rest)),
        _ => 4,
    };
}
