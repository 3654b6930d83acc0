"""Small students of the teacher: they learn to read from text, then from the teacher's soft labels and the true ones, are
judged out of fold, and exported as the models folder that the program opens."""
import copy
import hashlib
import json
import shutil

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

import answers
import data
import export
import finetune
import loop
import student as net
import vocab
from crossval import FOLDS, PRECISION
from features import encode
from meanings import turned
from tasks import TEXT_TASKS as TASKS

SOFT = 0.7
RATE = 1e-3
HIDE = 0.08
# Reading is learned with so many of the tokens hidden.
HIDDEN = 0.15
ALL = "all"
CHOSEN_ON = "out-of-fold answers of the students on {cases:,} cases, five folds: of what each keeps, {precision:.1%} is right"


class Filler(torch.nn.Module):
    """A reader that says what the hidden tokens are; the head is the embedding itself."""

    def __init__(self, size, **shape):
        super().__init__()
        self.reader = net.Reader(size, **shape)

    def loss(self, ids, hidden, unknown):
        vectors, _ = self.reader(ids.masked_fill(hidden, unknown))
        logits = vectors[hidden] @ self.reader.embed.weight.T.to(vectors.dtype) / vectors.shape[-1] ** .5
        return F.cross_entropy(logits.float(), ids[hidden])


def meanings(tokenizer, work, width):
    """What the adapted teacher knows of each token of the students, in their width."""
    table = torch.load(work / "adapted.pt", map_location="cpu", weights_only=True)["embed.weight"].numpy()
    whole = Tokenizer.from_file(str(work / "tokenizer.json"))
    ordered = [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size(with_added_tokens=True))]
    encoded = [[i for i in e.ids if i >= len(vocab.CONTROL) + 256] for e in whole.encode_batch(ordered, add_special_tokens=False)]
    rows = np.stack([table[ids].mean(axis=0) if ids else np.zeros(table.shape[1], np.float32) for ids in encoded])
    return turned(rows, width, net.EMBEDDED)


def read(work, tokenizer, stream, shape, path, steps=2000, batch=64, length=256, deadline=None):
    """Teaches a student's reader of this shape to fill in hidden characters, and saves it."""
    torch.manual_seed(loop.SEED)
    filler = Filler(tokenizer.get_vocab_size(with_added_tokens=True), **shape)
    with torch.no_grad():
        filler.reader.embed.weight.copy_(torch.from_numpy(meanings(tokenizer, work, filler.reader.embed.embedding_dim)))
    filler.to(loop.device())
    unknown = tokenizer.token_to_id("[UNK]")

    def loss_of(step):
        random = loop.generator("read", step)
        starts = random.integers(0, max(1, len(stream) - length), size=batch)
        ids = torch.from_numpy(np.stack([stream[s:s + length].astype("int64") for s in starts]))
        hidden = torch.from_numpy(random.random(ids.shape) < HIDDEN) & (ids != unknown)
        return filler.loss(ids.to(loop.device()), hidden.to(loop.device()), unknown)

    losses = loop.train(f"read {path.stem}", filler, [(filler.parameters(), RATE)], steps, loss_of, path.with_suffix(".part"), deadline, report=200)
    loop.save(path, filler.reader.state_dict())
    return losses


def loss_of_batch(student, ids, told, soft, share_of_soft):
    """True labels where there are any, with the teacher's distribution beside them; without, the teacher alone."""
    total = 0.0
    for h, (name, z) in enumerate(student(ids).items()):
        z = z.float()
        known = (told[:, h] >= 0).float()
        hard = F.cross_entropy(z, told[:, h].clamp(min=0), reduction="none")
        taught = -(soft[name] * F.log_softmax(z, dim=-1)).sum(-1)
        share = share_of_soft + (1 - share_of_soft) * (1 - known)
        total = total + (share * taught + (1 - share) * hard).mean()
    return total


class Lessons:
    """One task's questions as a student reads them, with labels and the teacher's answers."""

    def __init__(self, task, work, tokenizer_path, questions):
        self.task, self.tokenizer, self.rows = task, Tokenizer.from_file(str(tokenizer_path)), questions[task.name]
        self.ids = encode(self.tokenizer, [q["text"] for q in self.rows], task.max_tokens)
        self.soft = answers.read(work / "teacher", questions, [task])[task.name]
        self.told = data.labels(task, self.rows)
        self.answering = data.answering(self.rows)
        self.markers = np.zeros(self.tokenizer.get_vocab_size(with_added_tokens=True), dtype=np.int64)
        self.markers[[self.tokenizer.token_to_id(m) for m in task.segments]] = 1

    def pool(self, fold, unlabelled):
        """What a student that does not know the fold may learn from. Unlabelled questions teach by the teacher's word alone;
        held-out cases and their variants never do."""
        folds = np.array([a[0] if len(a) == 1 else -1 for a in self.answering])
        may = data.teaches(self.rows) | (~data.has_gold(self.rows) & unlabelled)
        return np.flatnonzero(may & ~data.withheld(self.rows) & (folds != fold))

    def asked(self, fold):
        return np.array([i for i, a in enumerate(self.answering) if fold in a], dtype=np.int64)


def train(lessons, fold, path, size, reader=None, soft=SOFT, unlabelled=True, epochs=8, batch=64, tokens=40_000, deadline=None):
    """A student that learned from no case of the fold (or from all, for `ALL`), in full precision."""
    torch.manual_seed(loop.SEED)
    task, markers, where = lessons.task, lessons.markers, loop.device()
    student = net.Student(task, markers, **size).to(where)
    if reader:
        student.reader.load_state_dict(torch.load(reader, map_location=where, weights_only=True))
    pool = lessons.pool(fold, unlabelled)
    lengths = [len(lessons.ids[i]) for i in pool]
    order = [pool[b] for e in range(epochs) for b in data.epoch(lengths, batch, loop.generator("distil", task.name, fold, e), tokens)]
    unknown = lessons.tokenizer.token_to_id("[UNK]")

    def loss_of(step):
        at = order[step]
        x = data.pad([lessons.ids[i] for i in at])
        hide = (loop.generator("unread", task.name, fold, step).random(x.shape) < HIDE) & (x != 0) & (markers[x] == 0)
        x = torch.from_numpy(np.where(hide, unknown, x)).to(where)
        taught = {n: torch.from_numpy(p[at].astype(np.float32)).to(where) for n, p in lessons.soft.items()}
        return loss_of_batch(student, x, torch.from_numpy(lessons.told[at]).to(where), taught, soft)

    losses = loop.train(f"student {path.stem}", student, [(student.parameters(), RATE)], len(order), loss_of,
                        path.with_suffix(".part"), deadline, report=500)
    return student, losses


@torch.no_grad()
def answer(student, lessons, at, batch=64):
    """Logits of the questions at these places: by head, (places, logits)."""
    where, found = next(student.parameters()).device, {}
    for start in range(0, len(at), batch):
        x = torch.from_numpy(data.pad([lessons.ids[i] for i in at[start:start + batch]])).to(where)
        for name, z in student(x).items():
            found.setdefault(name, []).append(z.float().cpu().numpy())
    heads = {h.name: h for h in lessons.task.heads}
    return {finetune.key(lessons.task, heads[name]): (at, np.concatenate(z)) for name, z in found.items()}


def rounded(student, bits):
    """A copy with the weights that so many bits hold."""
    made = copy.deepcopy(student)
    if bits < 32:
        net.quantise(made, bits)
    return made


def reader_of(work, size):
    """Where the reader of this shape lies."""
    name = hashlib.sha256(json.dumps(size, sort_keys=True).encode()).hexdigest()[:8]
    return work / "readers" / f"{name}.pt"


def student_of(lessons, work, fold, size, deadline=None, **settings):
    """Trains one student of the folder and keeps it: of a fold its answers, of all cases its weights."""
    path = work / "students" / f"{lessons.task.name}-{fold}"
    done = path.with_suffix(".pt") if fold == ALL else path.with_suffix(".npz")
    if done.exists():
        return
    made, _ = train(lessons, fold, path, size, reader_of(work, size), deadline=deadline, **settings)
    net.quantise(made)
    if fold == ALL:
        loop.save(done, made.state_dict())
    else:
        answers.save(answer(made, lessons, lessons.asked(fold)), done)


def distil(work, tokenizer_path, questions, size):
    """Figures of the students of all folds, and the models folder WORK/student."""
    out, half = work / "student", work / "students"
    out.mkdir(parents=True, exist_ok=True)
    files = [half / f"{task.name}-{fold}.npz" for task in TASKS for fold in range(FOLDS)]
    probabilities, temperatures = answers.calibrate(answers.gather(files, questions), questions)
    figures, thresholds, cases = answers.write(probabilities, questions, out)
    shutil.copy(tokenizer_path, out / "tokenizer.json")
    for task in TASKS:
        state = torch.load(half / f"{task.name}-{ALL}.pt", weights_only=True, map_location="cpu")
        made = net.Student(task, state["markers"], **size)
        made.load_state_dict(state)
        export.save(net.to_onnx(made, temperatures[task.name]), out / f"{task.name}.onnx")
    export.write_manifest(out, TASKS, thresholds, CHOSEN_ON.format(cases=cases, precision=PRECISION))
    (out / "temperatures.json").write_text(json.dumps(temperatures, indent=1) + "\n")
    return figures
