"""Ships a trained arm: `python3 models/training/grm/export.py merge`. Writes models/grm/decoder.onnx (8-bit weights, folded
to single precision at load), its tokenizer and the manifest's [verifier] table, after comparing the graph with the model."""
import argparse
import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from losses import LONGEST
from model import Decoder, causal, restored

HERE = Path(__file__).resolve().parent
MODELS = HERE.parents[1]
FORMAT, CHARACTERS = "pra/4", 1300
LARGEST = 16 << 20


class Graph:
    """Builds a graph node by node, so that nothing but what is meant is in it."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def node(self, op, *inputs, outputs=1, **attributes):
        names = [f"n{len(self.nodes)}.{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value, dtype=np.int64):
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def matrix(self, tensor, turned=False):
        """A matrix as 8-bit levels and one scale a row, multiplied out when the session opens; `turned` for its transpose."""
        levels, scale = quantised(tensor)
        turn = (lambda a: a.T) if turned else (lambda a: a)
        whole = self.node("Cast", self.constant(turn(levels), np.int8), to=TensorProto.FLOAT)
        return self.node("Mul", whole, self.constant(turn(scale), np.float32))

    def norm(self, x, layer):
        scale, bias = (self.constant(p.detach().numpy(), np.float32) for p in (layer.weight, layer.bias))
        return self.node("LayerNormalization", x, scale, bias, axis=-1, epsilon=layer.eps)


def quantised(tensor):
    """Levels of 8 bits and a scale for each row of a matrix."""
    rows = tensor.detach().numpy()
    scale = np.abs(rows).max(axis=1, keepdims=True) / 127
    scale[scale == 0] = 1
    return np.rint(rows / scale).astype(np.int8), scale.astype(np.float32)


def as_shipped(model):
    """The model with the weights that the file will have."""
    found = Decoder(model.c)
    state = {}
    for name, tensor in model.state_dict().items():
        levels, scale = quantised(tensor) if tensor.dim() > 1 else (tensor.numpy(), np.float32(1))
        state[name] = torch.from_numpy(levels.astype(np.float32) * scale)
    found.load_state_dict(state)
    return found.eval()


def graph(model):
    """Inputs and outputs are those of src/judge/decoder/step.rs."""
    c, g = model.c, Graph()
    embed = g.matrix(model.embed.weight)
    x = g.node("Gather", embed, "input_ids")
    scale, fresh = g.constant(1 / np.sqrt(c.head_width), np.float32), []
    one = g.constant([1])
    cos, sin = (g.node("Unsqueeze", g.node("Gather", g.constant(table, np.float32), "places"), one) for table in (model.cos, model.sin))

    def turned(x):
        low, high = g.node("Split", x, outputs=2, axis=-1, num_outputs=2)
        return g.node("Add", g.node("Mul", x, cos), g.node("Mul", g.node("Concat", g.node("Neg", high), low, axis=-1), sin))

    for i, block in enumerate(model.blocks):
        qkv = g.node("MatMul", g.norm(x, block.norm1), g.matrix(block.qkv.weight, turned=True))
        qkv = g.node("Reshape", qkv, g.constant([0, 0, 3, c.heads, c.head_width]))
        qkv = g.node("Transpose", qkv, perm=[2, 0, 3, 1, 4])
        q, k, v = (g.node("Squeeze", part, g.constant([0])) for part in g.node("Split", qkv, outputs=3, axis=0, num_outputs=3))
        q, k = turned(q), turned(k)
        fresh += [g.node("Unsqueeze", k, one), g.node("Unsqueeze", v, one)]
        old = [g.node("Squeeze", g.node("Slice", "past", g.constant([2 * i + j]), g.constant([2 * i + j + 1]), one), one) for j in (0, 1)]
        # Queries are scaled, and not the scores, of which there are ten times as many.
        q = g.node("Mul", q, scale)
        keys, values = g.node("Concat", old[0], k, axis=2), g.node("Concat", old[1], v, axis=2)
        scores = g.node("Add", g.node("MatMul", q, g.node("Transpose", keys, perm=[0, 1, 3, 2])), "mask")
        seen = g.node("MatMul", g.node("Softmax", scores, axis=-1), values)
        seen = g.node("Transpose", seen, perm=[0, 2, 1, 3])
        seen = g.node("Reshape", seen, g.constant([0, 0, c.width]))
        x = g.node("Add", x, g.node("MatMul", seen, g.matrix(block.out.weight, turned=True)))
        up = g.node("MatMul", g.norm(x, block.norm2), g.matrix(block.up.weight, turned=True))
        x = g.node("Add", x, g.node("MatMul", g.node("Gelu", up, approximate="tanh"), g.matrix(block.down.weight, turned=True)))
    # One place a row: gathered before the vocabulary, which is the widest product.
    at = g.node("Unsqueeze", "at", one)
    last = g.node("GatherND", x, at, batch_dims=1)
    logits = g.node("MatMul", g.norm(last, model.norm), g.node("Transpose", embed, perm=[1, 0]))
    g.nodes.append(helper.make_node("Identity", [logits], ["logits"]))
    g.nodes.append(helper.make_node("Concat", fresh, ["fresh"], axis=1))
    info = helper.make_tensor_value_info
    past = ["rows", 2 * c.layers, c.heads, "old", c.head_width]
    inputs = [info("input_ids", TensorProto.INT64, ["rows", "new"]), info("places", TensorProto.INT64, ["rows", "new"]),
              info("mask", TensorProto.FLOAT, ["rows", 1, "new", "all"]),
              info("past", TensorProto.FLOAT, past), info("at", TensorProto.INT64, ["rows"])]
    outputs = [info("logits", TensorProto.FLOAT, ["rows", c.vocabulary]),
               info("fresh", TensorProto.FLOAT, past[:3] + ["new", c.head_width])]
    made = helper.make_graph(g.nodes, "praetor-grm", inputs, outputs, g.weights)
    made = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9, producer_name="praetor")
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString(deterministic=True)


def read_back(data, c):
    """The model that an exported graph holds: weights stand in it in the order in which `graph` asks for them."""
    arrays = [numpy_helper.to_array(w) for w in onnx.load_from_string(data).graph.initializer]
    matrices = iter([a.astype(np.float32) * b for a, b in zip(arrays, arrays[1:]) if a.dtype == np.int8])
    norms = iter([a for a in arrays if a.dtype == np.float32 and a.shape == (c.width,)])
    model = Decoder(c)
    matrix = lambda to, turned=True: to.weight.copy_(torch.from_numpy(next(matrices).T.copy() if turned else next(matrices)))
    with torch.no_grad():
        matrix(model.embed, turned=False)
        for block in model.blocks:
            for norm, own in ((block.norm1, (block.qkv, block.out)), (block.norm2, (block.up, block.down))):
                norm.weight.copy_(torch.from_numpy(next(norms).copy()))
                norm.bias.copy_(torch.from_numpy(next(norms).copy()))
                for layer in own:
                    matrix(layer)
        model.norm.weight.copy_(torch.from_numpy(next(norms).copy()))
        model.norm.bias.copy_(torch.from_numpy(next(norms).copy()))
    assert next(matrices, None) is None and next(norms, None) is None, "the graph holds more weights than the model"
    return model.eval()


def check(data, model):
    """The graph computes what the model with the shipped weights computes, prefill and step."""
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    ids = torch.randint(2, model.c.vocabulary, (2, 24))
    old = torch.zeros(2, 2 * model.c.layers, model.c.heads, 8, model.c.head_width)
    nothing = torch.zeros(2, 8, dtype=torch.bool)
    some = torch.tensor([[True] * 8, [True] * 3 + [False] * 5])
    for past, real, at in ((old, nothing, torch.tensor([23, 7])), (torch.randn_like(old), some, torch.tensor([3, 0]))):
        mask = causal(2, 24, real)
        places = torch.arange(24).expand(2, 24)
        with torch.no_grad():
            wanted = model(ids, places, mask, past, at)
        found = session.run(["logits", "fresh"], {"input_ids": ids.numpy(), "places": places.contiguous().numpy(),
                            "mask": mask.contiguous().numpy(), "past": past.numpy(), "at": at.numpy()})
        for a, b in zip(wanted, found):
            assert np.abs(a.numpy() - b).max() < 1e-3, np.abs(a.numpy() - b).max()


def verifier_table(entry):
    lines = ["[verifier]", "# Written by models/training/grm/export.py; do not edit."]
    for key, value in entry.items():
        value = f'{{ file = "{value[0]}", sha256 = "{value[1]}" }}' if isinstance(value, tuple) else json.dumps(value)
        lines.append(f"{key} = {value}")
    return "\n".join(lines) + "\n"


def ship(arm, out, models, folds, enabled, reflect_below):
    model, _ = restored(out / f"{arm}.pt")
    data = graph(model)
    check(data, as_shipped(model))
    assert len(data) < LARGEST, len(data)
    figures = json.loads((out / "report.json").read_text("utf-8")).get(arm, {})
    calibration = figures.get("calibration", {"slope": 1.0, "bias": 0.0})
    # The fold models decide with it too, or their decisions could not certify it.
    for folder in [models, *folds]:
        place(folder, data, out / "tokenizer.json", model.c, calibration, enabled, reflect_below)
    print(f"{arm}: {len(data):,} bytes, {sum(p.numel() for p in model.parameters()):,} parameters, in {1 + len(folds)} folders")


def place(models, data, tokenizer, config, calibration, enabled, reflect_below):
    """Writes the files into a models folder, and its manifest's table."""
    (models / "grm").mkdir(exist_ok=True)
    (models / "grm" / "decoder.onnx").write_bytes(data)
    shutil.copy(tokenizer, models / "grm" / "tokenizer.json")
    digest = lambda name: hashlib.sha256((models / "grm" / name).read_bytes()).hexdigest()
    entry = {"format": FORMAT, "file": "grm/decoder.onnx", "sha256": digest("decoder.onnx"),
             "tokenizer": ("grm/tokenizer.json", digest("tokenizer.json")), "characters": CHARACTERS, "max_tokens": config.tokens,
             "max_reflection": LONGEST, "layers": config.layers, "heads": config.heads, "head_width": config.head_width,
             "slope_thousandths": round(calibration["slope"] * 1000), "bias_thousandths": round(calibration["bias"] * 1000),
             "reflect_below": reflect_below, "enabled": enabled}
    path = models / "manifest.toml"
    text = re.sub(r"\n*\[verifier\].*", "", path.read_text("utf-8"), flags=re.S).rstrip("\n")
    path.write_text(text + "\n\n" + verifier_table(entry), "utf-8")


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("arm")
    args.add_argument("--out", type=Path, default=HERE.parent / "out" / "grm")
    args.add_argument("--models", type=Path, default=MODELS, help="a folder with a manifest.toml")
    args.add_argument("--folds", type=Path, default=HERE.parent / "out", help="where fold0 to fold4 are")
    args.add_argument("--enabled", action="store_true", help="on unless the configuration says otherwise")
    args.add_argument("--reflect-below", type=float, default=0.9)
    args = args.parse_args()
    ship(args.arm, args.out, args.models, sorted(args.folds.glob("fold[0-9]")), args.enabled, args.reflect_below)


if __name__ == "__main__":
    main()
