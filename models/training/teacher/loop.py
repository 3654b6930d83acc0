"""What every training loop here shares: seeds, schedules, checkpoints, deadlines."""
import contextlib
import hashlib
import os
import time

import numpy as np
import torch

SEED = 20260101
# How many steps lie between two looks at the clock.
LOOK = 10


class Pause(Exception):
    """The deadline came; a checkpoint holds all that was done."""


def generator(*names):
    """A random generator that depends on the seed and these names alone, so that any step can be drawn again."""
    whole = hashlib.sha256(repr((SEED, *names)).encode()).digest()
    return np.random.default_rng(np.frombuffer(whole, dtype=np.uint32))


def device():
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(where):
    """bfloat16 on an accelerator; full precision on a CPU."""
    return torch.autocast("cuda", torch.bfloat16) if where.type == "cuda" else contextlib.nullcontext()


def rate(step, steps, warm=0.06):
    """The share of the learning rate at a step: up over the first steps, then down to nothing."""
    first = max(1, int(steps * warm))
    return min((step + 1) / first, (steps - step) / max(1, steps - first))


def optimiser(groups, where):
    """AdamW over (parameters, learning rate) groups."""
    made = [{"params": list(p), "lr": lr, "top": lr} for p, lr in groups]
    return torch.optim.AdamW(made, betas=(0.9, 0.98), weight_decay=0.01, fused=where.type == "cuda")


def train(name, module, groups, steps, loss_of, path, deadline=None, report=None):
    """Runs `steps` steps of `loss_of(step)`. Saves to `path` when the deadline comes and goes on from there; gives the
    losses of this run. `path` is gone once the training is done."""
    where = next(module.parameters()).device
    optim, start, losses = optimiser(groups, where), 0, []
    if path.exists():
        state = torch.load(path, map_location=where, weights_only=True)
        module.load_state_dict(state["module"])
        optim.load_state_dict(state["optim"])
        start = state["step"]
    module.train()
    begun = time.time()
    for step in range(start, steps):
        if deadline is not None and (step - start) % LOOK == 0 and step > start and time.time() > deadline:
            save(path, {"module": module.state_dict(), "optim": optim.state_dict(), "step": step})
            raise Pause(f"{name}: paused at step {step} of {steps}")
        for group in optim.param_groups:
            group["lr"] = group["top"] * rate(step, steps)
        with autocast(where):
            loss = loss_of(step)
        optim.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optim.step()
        losses.append(loss.detach())
        if report and (step + 1) % report == 0:
            mean = torch.stack(losses[-report:]).mean().item()
            print(f"{name}: step {step + 1} of {steps}, loss {mean:.3f}, {time.time() - begun:.0f} s", flush=True)
    module.eval()
    path.unlink(missing_ok=True)
    return [x.item() for x in losses]


def save(path, state):
    """Writes all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    torch.save(state, half)
    os.replace(half, path)
