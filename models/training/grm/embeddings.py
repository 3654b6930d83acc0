"""What the pieces of the reward model's tokenizer mean before it learns anything: Gemma 3's embeddings, put together for each
piece and turned into the model's width. `python3 models/training/grm/embeddings.py` fetches the weights, makes the tokenizer
if it is not there, and writes out/grm/embeddings.npy, which training starts from. Gemma's terms apply to what is made of it
(models/grm/GEMMA_TERMS.txt)."""
import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "teacher"), str(HERE.parent)]
from meanings import turned
from model import tokenizer_at

NAME = "embeddings.npy"
STD = 0.02


def meanings(pieces, folder):
    """The mean of Gemma's embeddings of each piece, [pieces, 640]; nought for markers and what Gemma has only as bytes."""
    import fetch
    import gguf
    import vocab
    tensors, tokens, scores, types = fetch.read(fetch.download(folder))
    normal = {t: s for t, s, kind in zip(tokens, scores, types) if kind == vocab.NORMAL}
    tokenizer = vocab.tokenizer_of(list(tokens), normal)
    texts = ["" if p.startswith("[") and p.endswith("]") else p for p in pieces]
    encoded = [[i for i in e.ids if types[i] == vocab.NORMAL] for e in tokenizer.encode_batch(texts, add_special_tokens=False)]
    kind, blocks = tensors[fetch.EMBEDDING]
    used = sorted({i for ids in encoded for i in ids})
    rows = dict(zip(used, gguf.dequantize(blocks[used], gguf.GGMLQuantizationType[kind])))
    return np.stack([np.mean([rows[i] for i in ids], axis=0) if ids else np.zeros(640, np.float32) for ids in encoded])


def put(model, path):
    with torch.no_grad():
        model.embed.weight.copy_(torch.from_numpy(np.load(path)))


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--out", type=Path, default=HERE.parent / "out" / "grm")
    args.add_argument("--gemma", type=Path, default=HERE.parent / "out" / "gemma", help="where the weights are kept")
    args.add_argument("--width", type=int, default=256)
    args.add_argument("--vocabulary", type=int, default=8192)
    args = args.parse_args()
    rows = map(json.loads, open(args.out / "decisions.ndjson", encoding="utf-8"))
    tokenizer = tokenizer_at(args.out / "tokenizer.json", rows, args.vocabulary)
    pieces = [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())]
    vectors = meanings(pieces, args.gemma)
    np.save(args.out / NAME, turned(vectors, args.width, STD))
    print(f"{(np.abs(vectors).sum(axis=1) > 0).sum()} of {len(pieces)} pieces have a meaning")


if __name__ == "__main__":
    main()
