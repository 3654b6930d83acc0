"""Writes models as ONNX files that compute on token ids alone, the manifest, and checks that both ways agree."""
import hashlib
import re
import shutil

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, ML_OPSET, IR = 17, 3, 8
NOT_HERE = -1
# The table of the manifest that the reward model's own export writes (grm/export.py); it comes last.
VERIFIER = re.compile(r"\n*(\[verifier\].*)", re.S)


class Graph:
    """Nodes and constants under construction."""

    def __init__(self):
        self.nodes, self.constants, self.count = [], [], 0

    def constant(self, value, name=None):
        name = name or f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind, inputs, output=None, **attributes):
        self.count += 1
        output = output or f"v{self.count}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"n{self.count}_{kind}", **attributes))
        return output


def onnx_model(model, tokenizer):
    """The graph of a fitted task: token ids [batch, tokens] in, logits [batch, labels] of every head out."""
    g = Graph()
    task = model.task
    markers = np.zeros(tokenizer.get_vocab_size(with_added_tokens=True), dtype=np.int64)
    markers[[tokenizer.token_to_id(m) for m in task.segments]] = 1
    # Which segment a token is in: how many markers have come by.
    flags = g.node("Gather", [g.constant(markers, "is_marker"), "input_ids"], axis=0)
    place = g.node("CumSum", [flags, g.constant(np.int64(1))])
    facts = None
    away, one = g.constant(np.int64(NOT_HERE)), g.constant(np.float32(1))
    totals = {head.name: None for head in task.heads}
    for segment in task.used():
        space = model.spaces[segment]
        heads = [head for head in task.heads if segment in head.weights]
        if not space.pool:
            continue
        here = g.node("Equal", [place, g.constant(np.int64(task.segments.index(segment) + 1))])
        ids = g.node("Where", [here, "input_ids", away])
        present = g.node("Min", [vectorizer(g, ids, space), one])
        facts = present if segment == "[FACTS]" else facts
        squares = g.node("Cast", [g.constant((space.idf ** 2).astype(np.int32)[:, None], f"rarity{segment}")], to=TensorProto.FLOAT)
        length = g.node("Cast", [g.node("MatMul", [present, squares])], to=TensorProto.DOUBLE)
        length = g.node("Sqrt", [g.node("Max", [length, g.constant(np.float64(1))])])
        levels = np.concatenate([model.heads[head.name][segment].levels for head in heads]).T
        weights = g.node("Cast", [g.constant(np.ascontiguousarray(levels), f"weights{segment}")], to=TensorProto.FLOAT)
        sums = g.node("Cast", [g.node("MatMul", [present, weights])], to=TensorProto.DOUBLE)
        start = 0
        for head in heads:
            end = start + len(head.labels)
            part = sums
            if len(heads) > 1:
                part = g.node("Slice", [sums, g.constant([start]), g.constant([end]), g.constant([1])])
            scale = g.constant(model.heads[head.name][segment].scale)
            part = g.node("Div", [g.node("Mul", [part, scale]), length])
            before = totals[head.name]
            totals[head.name] = part if before is None else g.node("Add", [before, part])
            start = end
    outputs = []
    for head in task.heads:
        biased = g.node("Add", [totals[head.name], g.constant(model.biases[head.name].astype(np.float64))])
        if head.name in model.trees:
            x = g.node("Concat", [facts, g.node("Cast", [biased], to=TensorProto.FLOAT)], axis=1)
            biased = g.node("Cast", [model.trees[head.name].node(g, x)], to=TensorProto.DOUBLE)
        scaled = g.node("Mul", [biased, g.constant(np.float64(model.temperature[head.name]))])
        g.node("Cast", [scaled], head.name, to=TensorProto.FLOAT)
        outputs.append(helper.make_tensor_value_info(head.name, TensorProto.FLOAT, ["batch", len(head.labels)]))
    graph = helper.make_graph(
        g.nodes, task.name, [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])], outputs,
        g.constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)], ir_version=IR,
                             producer_name="praetor-training")
    onnx.checker.check_model(made)
    return made


def vectorizer(g, ids, space):
    """Counts of the pool's n-grams. The pool is sorted by length, then by ids; index i of the output is its i-th n-gram."""
    grams = list(space.pool)
    starts, flat = [], []
    for n in range(1, space.longest + 1):
        starts.append(len(flat))
        flat.extend(t for gram in grams if len(gram) == n for t in gram)
    return g.node("TfIdfVectorizer", [ids], max_gram_length=space.longest, min_gram_length=1, max_skip_count=0, mode="TF",
                  ngram_counts=starts, ngram_indexes=list(range(len(grams))), pool_int64s=flat)


def logits(model, rows, at):
    """What the exported model must answer, bit for bit."""
    return {name: (z * model.temperature[name]).astype(np.float32) for name, z in model.scores(rows, at).items()}


def save(made, path):
    path.write_bytes(made.SerializeToString(deterministic=True))


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_manifest(folder, tasks, thresholds, chosen_on):
    """manifest.toml: files with their hashes, labels in order, thresholds and what they were chosen on."""
    quote = lambda text: '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
    lines = ["# Written by models/training/train.py; do not edit.", "format = 1",
             f'tokenizer = {{ file = "tokenizer.json", sha256 = "{sha256(folder / "tokenizer.json")}" }}']
    for task in tasks:
        file = f"{task.name}.onnx"
        lines += ["", "[[model]]", f'id = "{task.name}"', f'file = "{file}"', f'sha256 = "{sha256(folder / file)}"',
                  f"max_tokens = {task.max_tokens}"]
        for head in task.heads:
            labels = ", ".join(quote(label) for label in head.labels)
            lines += ["[[model.head]]", f'output = "{head.name}"', f"labels = [{labels}]"]
    lines += ["", "[thresholds]"] + [f"{name} = {value:.6f}" for name, value in thresholds.items()]
    lines += [f"chosen_on = {quote(chosen_on)}", ""]
    path = folder / "manifest.toml"
    # The reward model is trained apart (grm/export.py) and stays.
    verifier = verifier_of(folder)
    path.write_text("\n".join(lines) + ("\n" + verifier if verifier else ""), "utf-8")


def verifier_of(folder):
    """The table of the reward model in a folder's manifest; none where there is none."""
    path = folder / "manifest.toml"
    found = VERIFIER.search(path.read_text("utf-8")) if path.exists() else None
    return found and found[1]


def copy_verifier(models, folder):
    """Gives a folder the reward model of another."""
    table, path = verifier_of(models), folder / "manifest.toml"
    if table and verifier_of(folder) != table:
        shutil.copytree(models / "grm", folder / "grm", dirs_exist_ok=True)
        path.write_text(VERIFIER.sub("", path.read_text("utf-8")).rstrip("\n") + "\n\n" + table, "utf-8")


def ship(made, models):
    """Puts finished models where they ship, the manifest last."""
    models.mkdir(parents=True, exist_ok=True)
    files = [path for path in sorted(made.iterdir()) if path.is_file()]
    for path in sorted(files, key=lambda path: path.name == "manifest.toml"):
        shutil.copy(path, models / path.name)
