"""The whole of it in small: made-up questions, a weight file of two random layers, every stage, and what must hold of them."""
import argparse
import json
import os
import random
import tempfile
import time
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import torch

import adapt
import answers
import data
import distil
import features
import fetch
import finetune
import loop
import model
import run as command
import student as net
import verify
import vocab
from tasks import TEXT_TASKS as TASKS

SIZE = {"width": 32, "layers": 2, "heads": 2, "kv_heads": 1, "head_dim": 16, "hidden": 64, "window": 16, "every": 2}
SETTINGS = {
    "size": SIZE,
    "adapt": {"steps": 40, "batch": 8, "length": 32, "rate": 5e-3},
    "finetune": {"epochs": 5, "batch": 16, "rates": [3e-3, 3e-2]},
    "read": {"steps": 10, "batch": 4, "length": 32},
    "distil": {"size": {"width": 16, "blocks": 2, "attending": 1, "heads": 2}, "epochs": 2, "batch": 32},
}
CASES = 24
# A label is told by its sign, somewhere in the text.
SIGNS = "甲乙丙丁"
HANZI = [c for c in map(chr, range(0x4E00, 0x4E80)) if c not in SIGNS][:120]


def run():
    torch.set_num_threads(1)
    begun = time.time()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        warnings.simplefilter("ignore")
        questions(folder / "questions")
        args = arguments(folder)
        pieces = weight_file()
        fetch.download, fetch.read = lambda _: None, lambda _: pieces
        command.show = lambda _: None
        answers.FEWEST = 2
        np.seterr(all="ignore")
        command.fetch(args)
        command.prepare(args)
        sees_both_ways(args)
        agrees_with_reference(args)
        resumes(args)
        command.adapt(args)
        side_by_side(args)
        for stage in ("finetune", "answers", "read", "students", "distil", "trials"):
            getattr(command, stage)(args)
        losses_fall(args)
        soft_labels(args)
        onnx_answers(args)
        stages_are_skipped(args)
    print(f"smoke run: all of it holds, {time.time() - begun:.0f} s")


def arguments(folder):
    tokenizer = folder / "tokenizer.json"
    args = argparse.Namespace(
        work=folder / "work", questions=folder / "questions", unlabelled=["extra"], text=[folder / "text.txt"], vocab=600,
        folds=[0, 1, 2, 3, 4], parallel=1, deadline=None, tokenizer=tokenizer, one=None, known=False, trials=["teacher-public", "student", "student-unread"])
    args.work.mkdir()
    settle(args, SETTINGS)
    chance = random.Random(1)
    args.text[0].write_text("\n".join("".join(chance.choices(HANZI[:20], k=30)) for _ in range(80)), "utf-8")
    texts = [q["text"] for rows in data.read_questions(args.questions).values() for q in rows]
    features.save_tokenizer(features.build_tokenizer(texts, [m for t in TASKS for m in t.segments]), tokenizer)
    return args


def settle(args, settings):
    (args.work / "settings.json").write_text(json.dumps(settings))


def questions(folder):
    """Sets of made-up questions; the label's sign stands among random characters in the second segment."""
    chance = random.Random(2)
    words = lambda n: "".join(chance.choices(HANZI[:60], k=n))
    for name, mark, cases in (("public", "P", CASES), ("authored", "A", 12), ("extra", "P", 4)):
        (folder / name).mkdir(parents=True)
        for task in TASKS:
            lines = []
            for case in range(cases):
                ticket = f"{mark}{case}" + ("~turned" if name == "extra" else "")
                for index in range(1 if task.name == "classify" else 2):
                    sign = chance.randrange(min(3, min(len(h.labels) for h in task.heads)))
                    parts = {m: words(6) for m in task.segments[1:4]}
                    parts[task.segments[0]] = "[F:signed=yes]"
                    parts[task.segments[1]] = words(3) + SIGNS[sign] * 3 + words(3)
                    q = {"ticket_id": ticket, "index": index, "evidence_id": f"B{index}", "measure": "count",
                         "text": "".join(m + parts.get(m, "") for m in task.segments), "value": {"count": index},
                         "wanted": {"count": index}} | {h.name: h.labels[sign] for h in task.heads}
                    lines.append(json.dumps(q, ensure_ascii=False))
            (folder / name / f"{task.name}.ndjson").write_text("\n".join(lines) + "\n", "utf-8")


def weight_file():
    """Random tensors under the names of the weight file, and a vocabulary of bytes, characters and a few pairs."""
    pairs = [a + b for a, b in zip(HANZI[:60:3], HANZI[1:60:3])]
    pieces = [*vocab.CONTROL, *(f"<0x{b:02X}>" for b in range(256)), *HANZI, *SIGNS, *"▁Fsigned=y:", *pairs]
    types = [3] * len(vocab.CONTROL) + [vocab.BYTE] * 256
    types += [vocab.NORMAL] * (len(pieces) - len(types))
    torch.manual_seed(3)
    tensors = {}
    for name, value in model.Gemma(model.Config(vocab=len(pieces), **SIZE)).state_dict().items():
        value = value * 0.1 if name.startswith("embed") else value + 0.1 * torch.randn_like(value) if "norm" in name else value
        name = name.replace("layers.", "blk.").replace("embed", "token_embd")
        tensors[name] = ("F32", value.numpy())
    return tensors, pieces, [-float(i) for i in range(len(pieces))], types


@torch.no_grad()
def sees_both_ways(args):
    """Causal: nothing depends on what comes later. Both ways: everything in the window does. Padding changes nothing."""
    encoder = command.encoder_of(args).eval()
    ids = torch.from_numpy(np.random.default_rng(0).integers(5, 300, size=(1, 40)))
    other = ids.clone()
    other[0, 30] = 301
    change = lambda **how: (encoder(ids, **how) - encoder(other, **how)).abs().amax(-1)[0]
    causal, both = change(causal=True), change()
    assert causal[:30].max() == 0 and causal[30:].min() > 0, "the causal form looks ahead"
    assert both.min() > 0, "the form that reads both ways does not"
    window = (torch.arange(40)[:, None] - torch.arange(40)[None, :]).abs() < SIZE["window"]
    near, whole = encoder.masks(40, None, False, ids.device)
    assert torch.equal(near, window) and whole is None, "wrong windows"
    padded = torch.cat([ids, torch.zeros(1, 3 * SIZE["window"], dtype=ids.dtype)], 1)
    vectors = encoder(padded, padded != 0)
    apart = (vectors[:, :40] - encoder(ids)).abs().max()
    assert vectors.isfinite().all() and apart < 1e-5, f"padding changes vectors by {apart}"
    print("masks: causal, windows, both ways and padding as they must be")


@torch.no_grad()
def agrees_with_reference(args):
    encoder = command.encoder_of(args).eval()
    try:
        import transformers  # noqa: F401
    except ImportError:
        print("reference: transformers is not installed, not compared")
        return
    ids = torch.from_numpy(np.random.default_rng(1).integers(5, 300, size=(2, 40)))
    mine, theirs = encoder.logits(encoder(ids, causal=True)), model.reference(encoder)(ids).logits
    apart, scale = (mine - theirs).abs().max().item(), theirs.abs().max().item()
    assert apart < 1e-4 * max(1, scale), f"logits differ from the reference by {apart} of {scale}"
    print(f"reference: causal logits differ by {apart:.1e} at most, of {scale:.2f}")


def resumes(args):
    """A run that was stopped and went on has the weights of one that never stopped."""
    stream, _ = data.load(args.work / "ids.npz")
    made, path = [], args.work / "resume.pt"
    for stop in (False, True):
        encoder = command.encoder_of(args)
        settings = {"steps": 25, "batch": 4, "length": 24}
        if stop:
            try:
                adapt.adapt(encoder, stream, path, deadline=0, **settings)
                raise AssertionError("the deadline was not kept")
            except loop.Pause:
                encoder = command.encoder_of(args)
        adapt.adapt(encoder, stream, path, **settings)
        made.append(encoder.state_dict())
    assert all(torch.equal(made[0][k], made[1][k]) for k in made[0]), "resumed weights differ"
    assert not path.exists()
    print("resume: the same weights bit for bit")


def side_by_side(args):
    """Two folds in processes of their own give what they give in this one."""
    with mock.patch.dict(os.environ, {"OMP_NUM_THREADS": "1"}):
        command.finetune(argparse.Namespace(**vars(args) | {"folds": [0, 1], "parallel": 2}))
    with np.load(args.work / "fold1.npz") as file:
        apart = {k: file[k] for k in file.files}
    (args.work / "fold1.done").unlink()
    command.finetune(argparse.Namespace(**vars(args) | {"folds": [1]}))
    with np.load(args.work / "fold1.npz") as file:
        assert all(np.array_equal(file[k], apart[k]) for k in file.files), "a process of its own gives other answers"


def stages_are_skipped(args):
    """Nothing is made twice; a changed setting makes the stage anew."""
    before = (args.work / "adapted.pt").stat().st_mtime_ns
    command.adapt(args)
    assert (args.work / "adapted.pt").stat().st_mtime_ns == before, "a finished stage ran again"
    settle(args, SETTINGS | {"adapt": SETTINGS["adapt"] | {"steps": 2}})
    command.adapt(args)
    assert (args.work / "adapted.pt").stat().st_mtime_ns != before, "a changed stage did not run"


def losses_fall(args):
    """Adaptation and a teacher overfit what little there is."""
    encoder = command.encoder_of(args)
    stream, ids = data.load(args.work / "ids.npz")
    losses = adapt.adapt(encoder, stream, args.work / "fall.pt", **SETTINGS["adapt"])
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5]), losses
    rows = finetune.Rows(ids, command.questions_of(args))
    teacher, taught = finetune.finetune(encoder, rows, 0, args.work / "fall.pt", **SETTINGS["finetune"])
    assert np.mean(taught[-5:]) < 0.5 * np.mean(taught[:5]), taught
    assert not any(0 in a for i, a in enumerate(rows.answering) if rows.folds()[i] > 0)
    ends = [np.mean(part) for run in (losses, taught) for part in (run[:5], run[-5:])]
    print("losses: adapting {:.2f} to {:.2f}, all tasks {:.2f} to {:.2f}".format(*ends))


def soft_labels(args):
    """The files have a line a question, with the shipped models' form, and their answers are better than the commonest."""
    asked = command.questions_of(args)
    soft = answers.read(args.work / "teacher", asked)
    for task in TASKS:
        for head in task.heads:
            p = soft[task.name][head.name]
            assert p.shape == (len(asked[task.name]), len(head.labels)) and np.allclose(p.sum(1), 1, atol=1e-4)
    want = [q["states_problem"] == "yes" for q in asked["first_report"] if q["origin"] == "public"]
    said = [p[1] > 0.5 for p, q in zip(soft["first_report"]["states_problem"], asked["first_report"]) if q["origin"] == "public"]
    right = np.mean(np.array(want) == np.array(said))
    assert right > max(np.mean(want), 1 - np.mean(want)) + 0.1, f"out of fold no better than the commonest: {right}"
    print(f"soft labels: {right:.0%} of made-up first reports right out of fold")


def onnx_answers(args):
    """The exported students answer as in PyTorch, whatever the batch and padding; says whether even the bits are the same."""
    folder, same = args.work / "student", True
    temperatures = json.loads((folder / "temperatures.json").read_text())
    for task in TASKS:
        lessons = distil.Lessons(task, args.work, folder / "tokenizer.json", command.questions_of(args))
        ids = lessons.ids[:16]
        state = torch.load(args.work / "students" / f"{task.name}-{distil.ALL}.pt", weights_only=True)
        made = net.Student(task, state["markers"], **SETTINGS["distil"]["size"]).eval()
        made.load_state_dict(state)
        said = distil.answer(made, lessons, np.arange(len(ids)))
        want = {h.name: said[finetune.key(task, h)][1] for h in task.heads}
        runner = verify.session((folder / f"{task.name}.onnx").read_bytes())
        width = max(map(len, ids))
        first = verify.run(runner, ids, width)
        alone = [verify.run(runner, [i], len(i)) for i in ids]
        for name, z in want.items():
            z = z * np.float32(temperatures[task.name][name])
            for found in (first[name], verify.run(runner, ids, width + 64)[name], np.concatenate([a[name] for a in alone])):
                apart = np.abs(found - z).max()
                assert apart < 1e-4 * max(1, np.abs(z).max()), f"{task.name} {name}: ONNX differs by {apart}"
                same &= np.array_equal(found.view(np.int32), first[name].view(np.int32))
    print(f"ONNX: as in PyTorch; same bits for every batch and padding: {'yes' if same else 'no'}")
