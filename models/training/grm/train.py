"""Trains the second pass: `python3 models/training/grm/train.py --arm merge`. Arms: sft (supervised only), grpo (GRPO only
after the warm-up), merge (Merge Loss after it), first (first token only). Saves as it goes and resumes where it stopped."""
import argparse
import copy
import json
import math
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import embeddings
import report
# Before `data`, which puts the folder of the judges' training first, where there is another module of this name.
from export import as_shipped, check, graph, read_back
from data import few
from half import check as near, half
from losses import FIRST, LONGEST, MORE, UNTOLD, Ids, columns, first_token_loss, group_loss, supervised_loss, warm_up_loss, without_problem
from model import Config, Decoder, restored, tokenizer_at
from muon import Muon

SMOKE_SECONDS = 180
ARMS = ("sft", "grpo", "merge", "first")
# The rate of embeddings that came with a meaning, as a share of the others'.
SLOW = 0.2


class Data:
    """The examples of a file, tokenised once."""

    def __init__(self, path, tokenizer_path, vocabulary, tokens):
        rows = [json.loads(line) for line in open(path, encoding="utf-8")]
        self.tokenizer = tokenizer_at(tokenizer_path, rows, vocabulary)
        self.ids = Ids(self.tokenizer)
        for key in ("pra", "reflection"):
            for row, encoded in zip(rows, self.tokenizer.encode_batch([r[key] for r in rows])):
                row[key + "_ids"] = encoded.ids
        for row in rows:
            ends = [i for i, token in enumerate(row["pra_ids"]) if token == self.ids.line]
            row["holds"] = [(ends[line], truth) for line, truth in row["lines"]]
        fits = lambda r: len(r["pra_ids"]) + max(LONGEST, len(r["reflection_ids"])) + 2 <= tokens
        self.left_out = sum(not fits(r) for r in rows)
        self.rows = {split: [r for r in rows if r["split"] == split and fits(r)] for split in ("train", "dev", "test")}

    def batch(self, rng, size):
        """Examples of like length, so that little is padded."""
        some = rng.sample(self.rows["train"], min(len(self.rows["train"]), size * 8))
        some.sort(key=lambda r: len(r["pra_ids"]))
        start = rng.randrange(max(1, len(some) - size))
        return some[start:start + size]


class Run:
    """A model in training, with what is needed to go on where it stopped."""

    def __init__(self, args, data, path):
        self.args, self.data, self.path = args, data, path
        config = Config(data.tokenizer.get_vocab_size(), args.width, args.layers, args.heads, args.tokens)
        torch.manual_seed(args.seed)
        self.model = Decoder(config)
        meanings = path.parent / embeddings.NAME
        if meanings.exists():
            embeddings.put(self.model, meanings)
        # Muon turns the matrices of the blocks; AdamW does the rest, and what came with a meaning moves slowly.
        matrices = [p for p in self.model.blocks.parameters() if p.dim() > 1]
        words = self.model.embed.weight
        rest = [p for p in self.model.parameters() if p is not words and not any(p is m for m in matrices)]
        self.optimisers = [Muon(matrices, lr=args.rate, weight_decay=0.05),
                           torch.optim.AdamW([{"params": rest}, {"params": [words], "share": SLOW if meanings.exists() else 1.0}],
                                             lr=args.rate, betas=(0.9, 0.98), weight_decay=0.0)]
        self.steps, self.seconds, self.seen, self.log = 0, 0.0, 0, []
        if path.exists():
            self.load(path)
        elif args.from_shipped:
            shipped = read_back((args.from_shipped / "decoder.onnx").read_bytes(), config)
            self.model.load_state_dict(shipped.state_dict())

    def load(self, path, fresh=False):
        state = torch.load(path, weights_only=False)
        self.model.load_state_dict(state["model"])
        if not fresh:
            for optimiser, saved in zip(self.optimisers, state["optimisers"]):
                optimiser.load_state_dict(saved)
            self.steps, self.seconds, self.seen, self.log = (state[k] for k in ("steps", "seconds", "seen", "log"))

    def save(self):
        state = {"model": self.model.state_dict(), "optimisers": [o.state_dict() for o in self.optimisers], "steps": self.steps,
                 "seconds": self.seconds, "seen": self.seen, "log": self.log, "config": self.model.c.sizes(), "args": vars(self.args)}
        torch.save(state, self.path.with_suffix(".new"))
        self.path.with_suffix(".new").rename(self.path)

    def go(self, loss, seconds, total, rate):
        """Steps until the time is up; `loss(rng)` gives a loss or None. The rate warms up and falls along a cosine."""
        began, saved, start = time.time(), time.time(), self.seconds
        while (now := start + time.time() - began) < seconds and self.steps < self.args.most_steps:
            rng = random.Random(f"{self.args.seed}/{self.steps}")
            share = min(1.0, now / max(total, 1e-9))
            step_rate = rate * min(1.0, (self.steps + 1) / 30) * (0.05 + 0.95 * (1 + math.cos(math.pi * share)) / 2)
            for optimiser in self.optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = step_rate * group.get("share", 1.0)
            torch.manual_seed(self.args.seed * 1_000_003 + self.steps)
            with torch.autocast(self.args.device, torch.bfloat16, enabled=has_bfloat16(self.args.device)):
                value = loss(rng)
            if value is not None:
                self.model.zero_grad(set_to_none=True)
                value.backward()
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                for optimiser in self.optimisers:
                    optimiser.step()
                self.log.append(float(value.detach()))
            self.steps += 1
            self.seconds = start + time.time() - began
            if self.steps % 20 == 0:
                recent = self.log[-20:] or [0.0]
                print(f"{self.path.stem} step {self.steps} {self.seconds:.0f} s seen {self.seen} loss {sum(recent) / len(recent):.3f}", flush=True)
            if time.time() - saved > self.args.save_every:
                self.save()
                saved = time.time()
        self.save()


def has_bfloat16(device):
    """Whether bfloat16 is computed and not imitated: a processor without it takes twenty times as long."""
    return device != "cpu" or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def warm_up(run, seconds):
    def loss(rng):
        untold = rng.random() < UNTOLD
        batch = run.data.batch(rng, round(run.args.batch * MORE) if untold else run.args.batch)
        if untold:
            batch = [without_problem(row, run.data.ids) for row in batch]
        run.seen += len(batch)
        return warm_up_loss(run.model, run.data.ids, batch, rng)
    run.go(loss, seconds, seconds, run.args.rate)


def continue_arm(run, arm, warm, seconds, first):
    """One arm after the warm-up that all arms share."""
    if run.steps == 0:
        run.load(warm, fresh=True)
    reference = copy.deepcopy(run.model).eval()
    reference.load_state_dict(torch.load(warm, weights_only=False)["model"])
    # What is sampled and what learns from it must be one and the same: nothing is left out here.
    run.model.eval()
    data, ids, rewards = run.data, run.data.ids, []

    def loss(rng):
        batch = data.batch(rng, run.args.batch if arm in ("sft", "first") else run.args.groups)
        run.seen += len(batch)
        prompts, reflections, right = columns(batch)
        if arm == "sft":
            return supervised_loss(run.model, ids, prompts, reflections, right)
        if arm == "first":
            return first_token_loss(run.model, ids, prompts, right)
        groups, got = group_loss(run.model, reference, ids, prompts, right, first, rng)
        rewards.append(float(got.mean()))
        parts = [part for part in (groups, first_token_loss(run.model, ids, prompts, right) if arm == "merge" else None) if part is not None]
        return sum(parts) if parts else None

    # What is drawn from few groups is noise for the most part: small steps.
    run.go(loss, seconds, seconds, run.args.rate * (0.05 if arm in ("grpo", "merge") else 0.3))
    if rewards:
        mean = lambda some: sum(some) / len(some)
        print(f"{arm}: {run.seen} groups, mean reward {mean(rewards[:20]):.3f} at first, {mean(rewards[-20:]):.3f} at last", flush=True)


def arguments():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--arm", nargs="*", choices=ARMS, default=list(ARMS), help="none: the warm-up alone")
    args.add_argument("--first", choices=FIRST, default="sampled", help="A' before a sampled R': the model's own, the gold's, or forced")
    args.add_argument("--data", type=Path, default=HERE.parent / "out" / "grm" / "decisions.ndjson")
    args.add_argument("--out", type=Path, default=HERE.parent / "out" / "grm")
    args.add_argument("--from-shipped", type=Path, metavar="DIR", help="go on from the weights and the tokenizer in DIR, such as models/grm")
    args.add_argument("--warm-up", type=float, default=2400, help="seconds of supervised warm-up")
    args.add_argument("--seconds", type=float, default=300, help="seconds of each arm")
    for name, value in {"width": 256, "layers": 4, "heads": 4, "tokens": 1408, "vocabulary": 8192, "batch": 8, "groups": 4, "seed": 7}.items():
        args.add_argument(f"--{name}", type=int, default=value)
    args.add_argument("--rate", type=float, default=2e-3)
    args.add_argument("--save-every", type=float, default=60)
    args.add_argument("--decode", type=int, default=200, help="how many decisions of a kind are reflected on in the report")
    args.add_argument("--corrupted", type=int, default=1000, help="how many corrupted decisions the report looks at")
    args.add_argument("--most-steps", type=int, default=10**9)
    args.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args.add_argument("--program", nargs="+", default=["cargo", "run", "--quiet", "--"], help="the program, for a smoke run")
    args.add_argument("--smoke", action="store_true", help="all arms for seconds on the examples, in a temporary folder")
    return args.parse_args()


def run(args):
    if args.device != "cpu":
        torch.set_default_device(args.device)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.from_shipped and not (args.out / "tokenizer.json").exists():
        shutil.copy(args.from_shipped / "tokenizer.json", args.out / "tokenizer.json")
    data = Data(args.data, args.out / "tokenizer.json", args.vocabulary, args.tokens)
    print({k: len(v) for k, v in data.rows.items()}, "left out", data.left_out, "vocabulary", data.tokenizer.get_vocab_size(), flush=True)
    warm = args.out / "warm.pt"
    base = Run(args, data, warm)
    print(sum(p.numel() for n, p in base.model.named_parameters() if not n.startswith("embed")), "parameters beside embeddings")
    warm_up(base, args.warm_up)
    for arm in args.arm:
        name = arm if arm in ("sft", "first") or args.first == "sampled" else f"{arm}-{args.first}"
        one = Run(args, data, args.out / f"{name}.pt")
        continue_arm(one, arm, warm, args.seconds, args.first)
    report.write(args.out, data, args)


def main():
    args = arguments()
    if not args.smoke:
        return run(args)
    with tempfile.TemporaryDirectory() as folder:
        args.out, args.warm_up, args.seconds, args.decode = Path(folder), 25, 8, 16
        args.data = Path(folder) / "few.ndjson"
        few(args.data, args.program)
        # Of so few pieces a text takes more.
        args.width, args.layers, args.heads, args.vocabulary, args.tokens = 64, 2, 2, 2048, 1408
        began = time.time()
        run(args)
        exported(args.out / "warm.pt")
        took = time.time() - began
        assert took < SMOKE_SECONDS, f"the smoke run took {took:.0f} s, {SMOKE_SECONDS} are allowed"
        print(f"smoke run: every arm stepped, the report was written, and the graph gives what the model gives; {took:.0f} s")


def exported(path):
    """Whether the file that would ship computes what the model does, nearly so in half precision, and is read back as it
    was written; it asserts."""
    # Graphs are made and run on the processor.
    torch.set_default_device("cpu")
    model, _ = restored(path)
    data, shipped = graph(model), as_shipped(model)
    check(data, shipped)
    near(data, half(data))
    again = read_back(data, model.c).state_dict()
    assert all(torch.allclose(value, again[name], atol=1e-6) for name, value in shipped.state_dict().items()), "not read back as written"


if __name__ == "__main__":
    main()
