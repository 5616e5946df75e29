using KernelAD.Golden;
using KernelAD.Tensors;

namespace KernelAD.Engine.Tests.Golden;

public sealed class FormulaTensorTests
{
    [Test]
    public void The_published_check_values_come_out()
    {
        float[] u = new float[3];
        FormulaTensor.FillUniform("x", u);
        Assert.That(u, Is.EqualTo(new[] { -0.59758353f, 0.61705351f, 0.28664720f }).Within(1e-8f));
    }

    // Values from the "check" block of vitad/full/case.json.
    [TestCase("net_t.cls_token", new[] { 1, 1, 384 }, -0.017745448276400566, -0.16727344691753387)]
    [TestCase("net_t.patch_embed.proj.weight", new[] { 384, 3, 16, 16 }, -0.06738143414258957, -0.06904719024896622)]
    [TestCase("net_t.blocks.0.norm1.weight", new[] { 384 }, 1.0475071668624878, 0.9466001391410828)]
    [TestCase("net_t.blocks.0.attn.qkv.weight", new[] { 1152, 384 }, 0.04230356961488724, -0.02262062393128872)]
    [TestCase("net_fusion.fc.bias", new[] { 384 }, -0.00777933606877923, -0.012439739890396595)]
    public void Parameters_follow_their_role(string name, int[] shape, double first, double second)
    {
        float[] values = FormulaTensor.Parameter(name, new Shape(shape));
        Assert.That(values[..2], Is.EqualTo(new[] { (float)first, (float)second }).Within(1e-8f));
    }
}
