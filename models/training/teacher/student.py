"""The network that ships: embeddings of tokens and segments, a few convolutions with attention in the last of them, mean and
maximum over the text, a linear head a finding. Exported to ONNX with 8-bit weights that unfold to float32 at load."""
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import nn

from export import IR, OPSET, Graph

EPS = 1e-6
FAR = -1e9
EMBEDDED = 0.5
BITS = 8
# Smaller tensors stay in float32.
SMALL = 2048


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + EPS) * self.weight


class Block(nn.Module):
    def __init__(self, width, heads, attends):
        super().__init__()
        linear = lambda i, o: nn.Linear(i, o, bias=False)
        self.heads, self.attends = heads, attends
        self.norm_conv, self.norm_ffn = Norm(width), Norm(width)
        self.conv = nn.Conv1d(width, 2 * width, 3, padding=1, bias=False)
        self.up, self.down = linear(width, 3 * width), linear(3 * width, width)
        if attends:
            self.norm_attn = Norm(width)
            self.q, self.k, self.v, self.o = (linear(width, width) for _ in range(4))

    def forward(self, x, weight, far):
        a, b = self.conv((self.norm_conv(x) * weight).transpose(1, 2)).transpose(1, 2).chunk(2, dim=-1)
        x = x + a * torch.sigmoid(b)
        if self.attends:
            y = self.norm_attn(x)
            split = lambda z: z.view(z.shape[0], z.shape[1], self.heads, -1).transpose(1, 2)
            q, k, v = split(self.q(y)), split(self.k(y)), split(self.v(y))
            p = torch.softmax(q @ k.transpose(2, 3) * (q.shape[-1] ** -.5) + far, dim=-1)
            x = x + self.o((p @ v).transpose(1, 2).reshape(x.shape))
        y = self.up(self.norm_ffn(x))
        return x + self.down(y * torch.sigmoid(y))


class Reader(nn.Module):
    """The part that all students may start from: what it knows of characters and their order."""

    def __init__(self, size, width=192, blocks=4, attending=2, heads=4):
        super().__init__()
        self.embed = nn.Embedding(size, width)
        nn.init.normal_(self.embed.weight, std=EMBEDDED)
        self.blocks = nn.ModuleList(Block(width, heads, i >= blocks - attending) for i in range(blocks))
        self.norm = Norm(width)

    def forward(self, ids, more=0):
        """Vectors [texts, tokens, width] and which of the tokens are none, [texts, tokens, 1]; `more` is added to the embeddings."""
        weight = (ids != 0).to(self.embed.weight.dtype)[:, :, None]
        far = ((1 - weight) * FAR).transpose(1, 2)[:, None]
        x = self.embed(ids) + more
        for block in self.blocks:
            x = block(x, weight, far)
        return self.norm(x), weight


class Student(nn.Module):
    """One task's model. `markers` holds a one at the ids of the task's segment markers."""

    def __init__(self, task, markers, **size):
        super().__init__()
        self.task = task
        self.register_buffer("markers", torch.as_tensor(markers, dtype=torch.int64))
        self.reader = Reader(len(markers), **size)
        width = self.reader.embed.embedding_dim
        self.segment = nn.Embedding(len(task.segments) + 1, width)
        nn.init.normal_(self.segment.weight, std=EMBEDDED)
        self.out = nn.ModuleDict({h.name: nn.Linear(2 * width, len(h.labels)) for h in task.heads})

    def forward(self, ids):
        place = self.markers[ids].cumsum(1).clamp(max=len(self.task.segments))
        x, weight = self.reader(ids, self.segment(place))
        mean = (x * weight).sum(1) / weight.sum(1)
        top = (x + (1 - weight) * FAR).max(1).values
        both = torch.cat([mean, top], dim=-1)
        return {name: head(both) for name, head in self.out.items()}


def levels(value, bits=BITS):
    """Levels of so many bits and one scale a row of a tensor."""
    flat = value.reshape(value.shape[0], -1)
    scale = np.maximum(np.abs(flat).max(axis=1), 1e-12).astype(np.float32) / np.float32(2 ** (bits - 1) - 1)
    scale = scale.reshape(-1, *[1] * (value.ndim - 1)).astype(np.float32)
    return np.rint(value / scale).astype(np.int8), scale


@torch.no_grad()
def quantise(student, bits=BITS):
    """Brings the weights to what the bits hold, in place, so that figures are of what ships."""
    for _, p in student.named_parameters():
        if p.dim() > 1 and p.numel() >= SMALL:
            whole, scale = levels(p.cpu().numpy(), bits)
            p.copy_(torch.from_numpy(whole.astype(np.float32) * scale))


def to_onnx(student, temperatures):
    """The graph of a quantised student: input_ids [batch, tokens] to one output of logits a head."""
    g, state = Graph(), {k: v.cpu().numpy() for k, v in student.state_dict().items()}
    made = {}

    def weight(name):
        if name not in made:
            value = state[name]
            if value.ndim > 1 and value.size >= SMALL:
                whole, scale = levels(value)
                made[name] = g.node("Mul", [g.node("Cast", [g.constant(whole, name)], to=TensorProto.FLOAT), g.constant(scale)])
            else:
                made[name] = g.constant(value, name)
        return made[name]

    f32 = lambda value: g.constant(np.float32(value))
    axes = lambda *at: g.constant(np.array(at, dtype=np.int64))
    linear = lambda x, name: g.node("MatMul", [x, g.node("Transpose", [weight(name)], perm=[1, 0])])

    def norm(x, name):
        square = g.node("ReduceMean", [g.node("Mul", [x, x])], axes=[-1], keepdims=1)
        return g.node("Mul", [g.node("Div", [x, g.node("Sqrt", [g.node("Add", [square, f32(EPS)])])]), weight(name)])

    def heads_of(x, heads):
        return g.node("Transpose", [g.node("Reshape", [x, axes(0, 0, heads, x_width // heads)])], perm=[0, 2, 1, 3])

    x_width = state["segment.weight"].shape[1]
    segments = g.constant(np.int64(len(student.task.segments)))
    place = g.node("CumSum", [g.node("Gather", [g.constant(state["markers"]), "input_ids"]), g.constant(np.int64(1))])
    real = g.node("Not", [g.node("Equal", ["input_ids", g.constant(np.int64(0))])])
    kept = g.node("Unsqueeze", [g.node("Cast", [real], to=TensorProto.FLOAT), axes(2)])
    away = g.node("Mul", [g.node("Sub", [f32(1), kept]), f32(FAR)])
    far = g.node("Unsqueeze", [g.node("Transpose", [away], perm=[0, 2, 1]), axes(1)])
    x = g.node("Add", [g.node("Gather", [weight("reader.embed.weight"), "input_ids"]),
                       g.node("Gather", [weight("segment.weight"), g.node("Min", [place, segments])])])
    for i, block in enumerate(student.reader.blocks):
        at = f"reader.blocks.{i}."
        y = g.node("Transpose", [g.node("Mul", [norm(x, at + "norm_conv.weight"), kept])], perm=[0, 2, 1])
        y = g.node("Transpose", [g.node("Conv", [y, weight(at + "conv.weight")], kernel_shape=[3], pads=[1, 1])], perm=[0, 2, 1])
        a = g.node("Slice", [y, axes(0), axes(x_width), axes(2)])
        b = g.node("Slice", [y, axes(x_width), axes(2 * x_width), axes(2)])
        x = g.node("Add", [x, g.node("Mul", [a, g.node("Sigmoid", [b])])])
        if block.attends:
            y = norm(x, at + "norm_attn.weight")
            q, k, v = (heads_of(linear(y, at + f"{n}.weight"), block.heads) for n in "qkv")
            score = g.node("MatMul", [q, g.node("Transpose", [k], perm=[0, 1, 3, 2])])
            score = g.node("Add", [g.node("Mul", [score, f32((x_width // block.heads) ** -.5)]), far])
            y = g.node("Transpose", [g.node("MatMul", [g.node("Softmax", [score], axis=-1), v])], perm=[0, 2, 1, 3])
            x = g.node("Add", [x, linear(g.node("Reshape", [y, axes(0, 0, x_width)]), at + "o.weight")])
        y = linear(norm(x, at + "norm_ffn.weight"), at + "up.weight")
        x = g.node("Add", [x, linear(g.node("Mul", [y, g.node("Sigmoid", [y])]), at + "down.weight")])
    x = norm(x, "reader.norm.weight")
    mean = g.node("Div", [g.node("ReduceSum", [g.node("Mul", [x, kept]), axes(1)], keepdims=0),
                          g.node("ReduceSum", [kept, axes(1)], keepdims=0)])
    both = g.node("Concat", [mean, g.node("ReduceMax", [g.node("Add", [x, away])], axes=[1], keepdims=0)], axis=-1)
    outputs = []
    for head in student.task.heads:
        z = g.node("Add", [linear(both, f"out.{head.name}.weight"), weight(f"out.{head.name}.bias")])
        g.node("Mul", [z, f32(temperatures[head.name])], head.name)
        outputs.append(helper.make_tensor_value_info(head.name, TensorProto.FLOAT, ["batch", len(head.labels)]))
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])]
    graph = helper.make_graph(g.nodes, student.task.name, inputs, outputs, g.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="praetor-training")
    onnx.checker.check_model(model)
    return model
