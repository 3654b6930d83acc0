"""Small students of the teacher: trained on its soft labels and on the true ones, judged out of fold, exported as the models
folder that the program opens."""
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
from crossval import FOLDS, PRECISION
from features import encode
from tasks import TEXT_TASKS as TASKS

SOFT = 0.7
RATE = 1e-3
HIDE = 0.08
ALL = "all"
CHOSEN_ON = "out-of-fold answers of the students on {cases:,} cases, five folds: of what each keeps, {precision:.1%} is right"


def loss_of_batch(student, ids, told, soft):
    """True labels where there are any, with the teacher's distribution beside them; without, the teacher alone."""
    total = 0.0
    for h, (name, z) in enumerate(student(ids).items()):
        z = z.float()
        known = (told[:, h] >= 0).float()
        hard = F.cross_entropy(z, told[:, h].clamp(min=0), reduction="none")
        taught = -(soft[name] * F.log_softmax(z, dim=-1)).sum(-1)
        share = SOFT + (1 - SOFT) * (1 - known)
        total = total + (share * taught + (1 - share) * hard).mean()
    return total


def train(task, tokenizer, ids, questions, soft, fold, work, size, epochs, batch, deadline):
    """A student that learned from no case of the fold (or from all, for `ALL`), with its weights brought to 8 bits."""
    torch.manual_seed(loop.SEED)
    markers = np.zeros(tokenizer.get_vocab_size(with_added_tokens=True), dtype=np.int64)
    markers[[tokenizer.token_to_id(m) for m in task.segments]] = 1
    where = loop.device()
    student = net.Student(task, markers, **size).to(where)
    told = data.labels(task, questions)
    folds = np.array([a[0] if len(a) == 1 else -1 for a in data.answering(questions)])
    # Unlabelled questions teach by the teacher's word alone; held-out cases and their variants never do.
    may = (data.teaches(questions) | ~data.has_gold(questions)) & ~data.withheld(questions)
    pool = np.flatnonzero(may & (folds != fold))
    lengths = [len(ids[i]) for i in pool]
    order = [pool[b] for e in range(epochs) for b in data.epoch(lengths, batch, loop.generator("distil", task.name, fold, e))]
    unknown = tokenizer.token_to_id("[UNK]")

    def loss_of(step):
        at = order[step]
        x = data.pad([ids[i] for i in at])
        hide = (loop.generator("unread", task.name, fold, step).random(x.shape) < HIDE) & (x != 0) & (markers[x] == 0)
        x = torch.from_numpy(np.where(hide, unknown, x)).to(where)
        taught = {n: torch.from_numpy(p[at].astype(np.float32)).to(where) for n, p in soft.items()}
        return loss_of_batch(student, x, torch.from_numpy(told[at]).to(where), taught)

    name = f"student {task.name} {fold}"
    losses = loop.train(name, student, [(student.parameters(), RATE)], len(order), loss_of,
                        work / f"student-{task.name}-{fold}.pt", deadline, report=500)
    net.quantise(student)
    return student, losses


@torch.no_grad()
def answer(student, ids, at, batch=64):
    """Logits of the questions at these places, by head."""
    where, found = next(student.parameters()).device, {}
    for start in range(0, len(at), batch):
        x = torch.from_numpy(data.pad([ids[i] for i in at[start:start + batch]])).to(where)
        for name, z in student(x).items():
            found.setdefault(name, []).append(z.float().cpu().numpy())
    return {name: np.concatenate(z) for name, z in found.items()}


def distil(work, tokenizer_path, questions, size=None, epochs=12, batch=32, deadline=None):
    """All students of all folds, their figures, and the models folder WORK/student. Finished students are kept on the way."""
    out, half = work / "student", work / "students"
    half.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    soft = answers.read(work / "teacher", questions)
    final, size = {}, size or {}
    for task in TASKS:
        rows = questions[task.name]
        ids = encode(tokenizer, [q["text"] for q in rows], task.max_tokens)
        answering = data.answering(rows)
        for fold in [*range(FOLDS), ALL]:
            path = half / f"{task.name}-{fold}"
            done = path.with_suffix(".pt") if fold == ALL else path.with_suffix(".npz")
            if done.exists():
                continue
            made, _ = train(task, tokenizer, ids, rows, soft[task.name], fold, half, size, epochs, batch, deadline)
            if fold == ALL:
                loop.save(done, made.state_dict())
                continue
            at = np.array([i for i, a in enumerate(answering) if fold in a], dtype=np.int64)
            found = answer(made, ids, at) if len(at) else {}
            heads = {h.name: h for h in task.heads}
            answers.save({finetune.key(task, heads[n]): (at, z) for n, z in found.items()}, done)
        final[task.name] = half / f"{task.name}-{ALL}.pt"
    files = [half / f"{task.name}-{fold}.npz" for task in TASKS for fold in range(FOLDS)]
    probabilities, temperatures = answers.calibrate(answers.gather(files, questions), questions)
    figures, thresholds, cases = answers.write(probabilities, questions, out)
    shutil.copy(tokenizer_path, out / "tokenizer.json")
    for task in TASKS:
        state = torch.load(final[task.name], weights_only=True, map_location="cpu")
        made = net.Student(task, state["markers"], **size)
        made.load_state_dict(state)
        export.save(net.to_onnx(made, temperatures[task.name]), out / f"{task.name}.onnx")
    export.write_manifest(out, TASKS, thresholds, CHOSEN_ON.format(cases=cases, precision=PRECISION))
    (out / "temperatures.json").write_text(json.dumps(temperatures, indent=1) + "\n")
    return figures
