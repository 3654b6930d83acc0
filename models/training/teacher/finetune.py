"""One model for all tasks: the adapted encoder, the mean of its vectors, a linear head a finding."""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import data
import loop
import vocab
from tasks import TEXT_TASKS as TASKS

ENCODER_RATE, HEAD_RATE = 7e-5, 2e-3
SMOOTHING = 0.05
HIDE = (0.05, 0.08)
# The checkpoint's last norm makes vectors too long for the heads' rate.
SHRINK = 8


class Teacher(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict({key(t, h): nn.Linear(encoder.config.width, len(h.labels)) for t in TASKS for h in t.heads})
        for head in self.heads.values():
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, ids):
        """The mean vector of each text."""
        real = ids != vocab.PAD
        vectors = self.encoder(ids, real)
        weight = real.to(vectors.dtype)[:, :, None]
        return (vectors * weight).sum(1) / weight.sum(1)


def key(task, head):
    return f"{task.name}-{head.name}"


class Rows:
    """All tasks' questions in one list."""

    def __init__(self, ids, questions):
        self.ids, self.task, self.at, self.labels, self.origin = [], [], [], [], []
        self.teaches, self.answering = [], []
        for t, task in enumerate(TASKS):
            told = data.labels(task, questions[task.name])
            self.ids += list(ids[task.name])
            self.task += [t] * len(told)
            self.at += range(len(told))
            self.labels += list(told)
            self.origin += [q["origin"] for q in questions[task.name]]
            self.teaches += list(data.teaches(questions[task.name]))
            self.answering += data.answering(questions[task.name])

    def folds(self):
        """The fold of each question's case, or -1 where no teacher may learn from it."""
        return np.array([a[0] if len(a) == 1 else -1 for a in self.answering])


def loss_of_batch(teacher, rows, at, ids):
    """Mean over every label that the batch's questions have."""
    vectors, total, count = teacher(ids), 0.0, 0
    for t, task in enumerate(TASKS):
        mine = [i for i, row in enumerate(at) if rows.task[row] == t]
        if not mine:
            continue
        told = torch.from_numpy(np.stack([rows.labels[at[i]] for i in mine])).to(ids.device)
        for h, head in enumerate(task.heads):
            known = told[:, h] >= 0
            y = told[:, h].clamp(min=0)
            z = teacher.heads[key(task, head)](vectors[mine]).float()
            each = F.cross_entropy(z, y, reduction="none", label_smoothing=SMOOTHING)
            total, count = total + (each * known).sum(), count + known.sum()
    return total / count.clamp(min=1)


def finetune(encoder, rows, fold, path, epochs=4, batch=96, tokens=12_000, rates=(ENCODER_RATE, HEAD_RATE), origins=None, deadline=None):
    """A teacher that never learns from the fold, and from questions of these origins alone if any are named; gives it with
    its losses. A batch has so many questions and padded tokens at most."""
    where = next(encoder.parameters()).device
    with torch.no_grad():
        encoder.output_norm.weight /= SHRINK
    teacher = Teacher(encoder).to(where)
    may = np.array(rows.teaches) & np.isin(rows.origin, origins or list(set(rows.origin)))
    pool = np.flatnonzero(may & (rows.folds() != fold) & (rows.folds() >= 0))
    lengths = [len(rows.ids[i]) for i in pool]
    order = [pool[b] for e in range(epochs) for b in data.epoch(lengths, batch, loop.generator("epoch", fold, e), tokens)]

    def loss_of(step):
        random = loop.generator("hide", fold, step)
        ids = data.pad([rows.ids[i] for i in order[step]])
        hide = (random.random(ids.shape) < random.uniform(*HIDE)) & (ids != vocab.PAD)
        ids = np.where(hide, vocab.MASK, ids)
        return loss_of_batch(teacher, rows, order[step], torch.from_numpy(ids).to(where))

    groups = [(encoder.parameters(), rates[0]), (teacher.heads.parameters(), rates[1])]
    return teacher, loop.train(f"fold {fold}", teacher, groups, len(order), loss_of, path, deadline, report=200)


@torch.no_grad()
def answer(teacher, rows, fold, batch=64, known=False):
    """Logits for every question that this fold's teacher may answer, or for those it learned from too (`known`): by head,
    (places, logits)."""
    where = next(teacher.parameters()).device
    mine = [i for i, a in enumerate(rows.answering) if known or fold in a]
    mine.sort(key=lambda i: len(rows.ids[i]))
    found = {key(t, h): ([], []) for t in TASKS for h in t.heads}
    for start in range(0, len(mine), batch):
        at = mine[start:start + batch]
        with loop.autocast(where):
            vectors = teacher(torch.from_numpy(data.pad([rows.ids[i] for i in at])).to(where))
        for t, task in enumerate(TASKS):
            rows_of = [j for j, i in enumerate(at) if rows.task[i] == t]
            for head in task.heads if rows_of else ():
                places, logits = found[key(task, head)]
                places += [rows.at[at[j]] for j in rows_of]
                logits.append(teacher.heads[key(task, head)](vectors[rows_of].float()))
    return {name: (np.array(places), torch.cat(logits).cpu().numpy()) for name, (places, logits) in found.items() if places}
