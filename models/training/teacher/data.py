"""Questions and other text as token ids, ready to be carried: what trains needs no tokenizer and no network."""
import gzip
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import contrasts
import features
import vocab
from crossval import fold_of, held_out
from tasks import TEXT_TASKS as TASKS

LONGEST = 1280
LABELLED = ("public", "authored")


def read_questions(folder, labelled=LABELLED, unlabelled=()):
    """The questions of every task, in order. Questions of unlabelled sets keep no labels and teach nothing."""
    found = {task.name: [] for task in TASKS}
    for name in (*labelled, *unlabelled):
        for task in TASKS:
            path = folder / name / f"{task.name}.ndjson"
            if not path.exists():
                continue
            for line in path.read_text("utf-8").splitlines():
                q = json.loads(line) | {"origin": name}
                q["held_out"] = held_out(q["ticket_id"], name) or name in unlabelled
                if name in unlabelled:
                    q |= {head.name: None for head in task.heads}
                found[task.name].append(q)
    if (folder / contrasts.NAME / "supports.ndjson").exists():
        found["supports"] += contrasts.questions(contrasts.ITEMS, folder / contrasts.NAME)
    return found


def pack(questions, path):
    """All questions in one small file, for machines that have no others."""
    path.write_bytes(gzip.compress(json.dumps(questions, ensure_ascii=False).encode(), mtime=0))


def unpack(path):
    return json.loads(gzip.decompress(path.read_bytes()))


def labels(task, questions):
    """Label numbers, [questions, heads]; -1 where a head has none."""
    return np.array([[head.labels.index(q[head.name]) if q.get(head.name) is not None else -1 for head in task.heads]
                     for q in questions], dtype=np.int64).reshape(len(questions), len(task.heads))


def teaches(questions):
    """Which questions may be learned from."""
    return np.array([q.get("teaches", True) and not q["held_out"] for q in questions], dtype=bool)


def has_gold(questions):
    """Which questions have labels of their own."""
    return np.array([q["origin"] in (*LABELLED, contrasts.NAME) for q in questions], dtype=bool)


def withheld(questions):
    """Which questions are about a held-out case, or a variant of one: nothing learns from these, whoever answers them."""
    cases = {fold_key(q) for q in questions if q["origin"] in LABELLED and q["held_out"]}
    return np.array([fold_key(q) in cases for q in questions], dtype=bool)


def answering(questions):
    """For each question, which folds' teachers may answer it: those that never saw its case."""
    known = {fold_key(q) for q in questions if not q["held_out"]}
    return [(fold_of(q["ticket_id"]),) if fold_key(q) in known else tuple(range(5)) for q in questions]


def fold_key(question):
    return question["ticket_id"].split("~")[0]


def encode(tokenizer, texts):
    """Ids of every text behind the opening token, cut to the longest allowed."""
    return [np.array([vocab.BOS, *e.ids][:LONGEST], dtype=np.uint16)
            for part in vocab.batches(texts) for e in tokenizer.encode_batch(part, add_special_tokens=False)]


def prepare(tokenizer, characters, questions, corpus, path):
    """Writes one file with all ids: the questions of each task, and the text to adapt to as one stream, in the tokens of the
    teacher and (`characters`) of the students."""
    flat = {}
    cases = [q["text"] for q in questions["classify"] if not q["held_out"]]
    stream = encode(tokenizer, cases) + encode(tokenizer, corpus)
    order = np.random.default_rng(0).permutation(len(stream))
    flat["stream"] = np.concatenate([stream[i] for i in order])
    told = [np.array(ids, dtype=np.uint16) for ids in features.encode(characters, cases + corpus, LONGEST)]
    flat["characters"] = np.concatenate([told[i] for i in order])
    for name, rows in questions.items():
        ids = encode(tokenizer, [q["text"] for q in rows])
        flat[f"{name}_ids"] = np.concatenate(ids) if ids else np.zeros(0, np.uint16)
        flat[f"{name}_lengths"] = np.array([len(i) for i in ids], dtype=np.int64)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **flat)


def load(path):
    """The stream, and each task's list of id arrays."""
    with np.load(path) as file:
        flat = {k: file[k] for k in file.files}
    rows = {t.name: np.split(flat[f"{t.name}_ids"], np.cumsum(flat[f"{t.name}_lengths"])[:-1])
            if len(flat[f"{t.name}_lengths"]) else [] for t in TASKS}
    return flat["stream"], rows


def characters(path):
    """The stream of text in the students' tokens."""
    with np.load(path) as file:
        return file["characters"]


def pad(rows):
    """One array, padded with zeros at the end."""
    made = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    for to, ids in zip(made, rows):
        to[:len(ids)] = ids
    return made


def epoch(lengths, batch, random, tokens=None, chunk=64):
    """Batches of about equal lengths in random order, of so many rows and padded tokens at most; every row once."""
    order, made, lengths = random.permutation(len(lengths)), [], np.asarray(lengths)
    for start in range(0, len(order), batch * chunk):
        part = order[start:start + batch * chunk]
        part = part[np.argsort(lengths[part], kind="stable")]
        while len(part):
            rows = batch
            while tokens and rows > 1 and lengths[part[:rows]].max() * len(part[:rows]) > tokens:
                rows -= 1
            made.append(part[:rows])
            part = part[rows:]
    return [made[i] for i in random.permutation(len(made))]
