"""The mean of two models, weight by weight, where one was trained on from the other: `average.py FIRST SECOND --share 0.6` gives
the second so much. It keeps more of what either knows than the later one alone. FIRST and SECOND are .pt files of training or
folders with a decoder.onnx; what comes out is out/grm/averaged.pt, with its figures in report.json, for `export.py averaged`."""
import argparse
from pathlib import Path

import torch

import report
from export import read_back
from model import Config, restored
from train import HERE, Data


def weights(path, config):
    return restored(path)[0].state_dict() if path.suffix == ".pt" else read_back((path / "decoder.onnx").read_bytes(), config).state_dict()


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("models", nargs=2, type=Path, metavar="MODEL")
    args.add_argument("--share", type=float, default=0.5, help="how much the second counts")
    args.add_argument("--out", type=Path, default=HERE.parent / "out" / "grm")
    args.add_argument("--data", type=Path, default=HERE.parent / "out" / "grm" / "decisions.ndjson")
    args.add_argument("--decode", type=int, default=200, help="how many decisions of a kind are reflected on in the report")
    args.add_argument("--corrupted", type=int, default=1000, help="how many corrupted decisions the report looks at")
    for name, value in {"width": 256, "layers": 4, "heads": 4, "tokens": 1280}.items():
        args.add_argument(f"--{name}", type=int, default=value)
    args = args.parse_args()
    data = Data(args.data, args.out / "tokenizer.json", 0, args.tokens)
    config = Config(data.tokenizer.get_vocab_size(), args.width, args.layers, args.heads, args.tokens)
    first, second = (weights(path, config) for path in args.models)
    mean = {name: value.lerp(second[name], args.share) for name, value in first.items()}
    torch.save({"model": mean, "config": config.sizes(), "steps": 1, "seen": 0, "seconds": 0.0}, args.out / "averaged.pt")
    report.write(args.out, data, args)


if __name__ == "__main__":
    main()
