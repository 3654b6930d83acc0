"""The reward model in half precision, for a GPU: `python3 models/training/grm/half.py FOLDER OUT` copies a models folder to
OUT, where the weights of its decoder are folded to half precision at load and everything between them computes in it. What
goes in and comes out stays as it was, and so do the judges, whose sums are exact and would no longer be.

Other models need another certificate: convert the fold models too, and `praetor calibrate` them."""
import argparse
import hashlib
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.transformers.float16 import convert_float_to_float16

# Logits differ by less between both, relative to the largest: half precision has 11 bits.
NEAR = 0.02


def half(data):
    """The graph in half precision. The 8-bit weights are still multiplied out in single precision and rounded then, for ONNX Runtime
    folds on the processor, which cannot multiply halves."""
    made = onnx.load_from_string(data)
    weights = {w.name for w in made.graph.initializer}
    for i, node in enumerate(made.graph.node):
        node.name = f"{node.op_type}{i}"
    levels = [n for n in made.graph.node if n.op_type == "Cast" and n.input[0] in weights]
    whole = {n.output[0] for n in levels}
    scaled = [n for n in made.graph.node if whole.intersection(n.input)]
    return convert_float_to_float16(made, keep_io_types=True, node_block_list=[n.name for n in levels + scaled]) \
        .SerializeToString(deterministic=True)


def inputs(session, rng):
    """Two texts of 64 tokens after rules of 96 and 40."""
    _, layers, heads, _, width = next(i.shape for i in session.get_inputs() if i.name == "past")
    vocabulary = session.get_outputs()[0].shape[1]
    rules, old, new = np.array([96, 40]), 128, 64
    ahead = np.triu(np.full((new, new), -1e9, np.float32), 1)
    taken = np.where(np.arange(old) < rules[:, None], 0, -1e9).astype(np.float32)
    mask = np.concatenate([np.broadcast_to(taken[:, None, None], (2, 1, new, old)), np.broadcast_to(ahead, (2, 1, new, new))], axis=-1)
    return {"input_ids": rng.integers(2, vocabulary, (2, new)), "places": rules[:, None] + np.arange(new), "at": np.array([63, 20]),
            "mask": mask, "past": rng.standard_normal((2, layers, heads, old, width), np.float32)}


def check(whole, halved):
    """How far the logits are apart, relative to the largest; it must be near."""
    sessions = [onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]) for data in (whole, halved)]
    given = inputs(sessions[0], np.random.default_rng(7))
    a, b = (session.run(["logits"], given)[0] for session in sessions)
    apart = float(np.abs(a - b).max() / np.abs(a).max())
    if not 0 < apart < NEAR:
        raise SystemExit(f"logits in half precision are {apart:.4f} of the largest apart, expected more than 0 and less than {NEAR}")
    return apart


def convert(folder, out):
    decoder = folder / "grm" / "decoder.onnx"
    whole = decoder.read_bytes()
    halved = half(whole)
    apart = check(whole, halved)
    shutil.copytree(folder, out, ignore=lambda at, names: [n for n in names if n in ("training", "certificates")])
    (out / "grm" / "decoder.onnx").write_bytes(halved)
    manifest = out / "manifest.toml"
    old, new = (hashlib.sha256(data).hexdigest() for data in (whole, halved))
    text = manifest.read_text("utf-8")
    if text.count(old) != 1:
        raise SystemExit(f"{folder / 'manifest.toml'} names {decoder} ({old}) {text.count(old)} times, expected once")
    manifest.write_text(text.replace(old, new), "utf-8")
    return f"{out}: {len(halved):,} bytes in place of {len(whole):,}; logits {apart:.4f} of the largest apart"


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("folder", type=Path, help="a folder with a manifest.toml and a reward model")
    args.add_argument("out", type=Path, help="a folder that is not there yet")
    args = args.parse_args()
    print(convert(args.folder, args.out))


if __name__ == "__main__":
    main()
