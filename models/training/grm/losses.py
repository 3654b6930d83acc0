"""The four arms' losses. A text is prompt (PRA), first token A', then reflection R' with the final verdict A''.

The Merge Loss adds cross-entropy on the first token, once a prompt and for every prompt, to GRPO on the tokens after it. The
reward is A'' being right plus a small bonus for a well-formed reflection; A' earns nothing, or GRPO would teach it to guess.
"""
import torch
from torch.nn import functional as F

from model import PAD, causal, pad, places
from reflect import END, FINAL, OPERATORS, RIGHT, WRONG

GROUP, CLIP, KL = 8, 0.2, 0.02
FORMAT_BONUS = 0.1
LONGEST = 72
# What A' is when R' is sampled: drawn from the model, the gold, or forced to either at random.
FIRST = ("sampled", "gold", "forced")


class Ids:
    """The ids of the tokens that the losses speak of."""

    def __init__(self, tokenizer):
        of = tokenizer.token_to_id
        self.right, self.wrong, self.final, self.end = of(RIGHT), of(WRONG), of(FINAL), of(END)
        self.operators = [of(op) for op in OPERATORS]

    def verdict(self, right):
        return self.right if right else self.wrong


def first_token_loss(model, ids, prompts, right):
    """Cross-entropy of A' over all tokens; no decoding."""
    x = pad(prompts)
    at = torch.tensor([len(p) - 1 for p in prompts])
    hidden, _ = model.hidden(x, places(*x.shape), causal(*x.shape), model.empty(len(x)))
    logits = model.logits(hidden[torch.arange(len(x)), at])
    target = torch.tensor([ids.verdict(r) for r in right])
    return F.cross_entropy(logits, target)


def supervised_loss(model, ids, prompts, reflections, right, weight=0.3):
    """A' and A'' at full weight, the words between them at less."""
    rows = [p + [ids.verdict(r)] + list(t) for p, t, r in zip(prompts, reflections, right)]
    x = pad(rows)
    hidden, _ = model.hidden(x[:, :-1], places(len(x), x.shape[1] - 1), causal(len(x), x.shape[1] - 1), model.empty(len(x)))
    first, rest, last = [], [], []
    for i, (p, t) in enumerate(zip(prompts, reflections)):
        logits = model.logits(hidden[i, len(p) - 1:len(p) + len(t)])
        losses = F.cross_entropy(logits, x[i, len(p):len(p) + len(t) + 1], reduction="none")
        first.append(losses[0])
        rest.append(losses[1:].mean())
        last.append(losses[-2])
    return torch.stack(first).mean() + weight * torch.stack(rest).mean() + 0.5 * torch.stack(last).mean()


@torch.no_grad()
def sample(model, ids, prompt, first, rows, greedy=False, longest=LONGEST):
    """So many continuations of one prompt after the first token. Gives the tokens with the first, up to the end."""
    x = torch.tensor([prompt])
    _, past = model.hidden(x, places(1, len(prompt)), causal(1, len(prompt)), model.empty(1))
    past = past.expand(rows, -1, -1, -1, -1)
    token, said, done = torch.tensor(first), [torch.tensor(first)], torch.zeros(rows, dtype=torch.bool)
    for step in range(longest):
        old = past.shape[3]
        hidden, fresh = model.hidden(token[:, None], places(rows, 1, len(prompt) + step), torch.zeros(rows, 1, 1, old + 1), past)
        past = torch.cat([past, fresh], dim=3)
        logits = model.logits(hidden[:, 0])
        token = logits.argmax(-1) if greedy else torch.distributions.Categorical(logits=logits).sample()
        token = torch.where(done, PAD, token)
        said.append(token)
        done |= token == ids.end
        if done.all():
            break
    rows = torch.stack(said, dim=1).tolist()
    return [[t for t in row if t != PAD] for row in rows]


def verdict_of(ids, said):
    """A'', or None where the reflection does not end as it should."""
    ends = len(said) >= 4 and said[-1] == ids.end and said[-3] == ids.final and said[-2] in (ids.right, ids.wrong)
    return (said[-2] == ids.right) if ends else None


def reward(ids, said, right):
    final = verdict_of(ids, said)
    operators = [t for t in said if t in ids.operators]
    well_formed = final is not None and len(operators) >= 4 and len(set(operators)) == len(operators)
    return (1.0 if final == right else 0.0) + (FORMAT_BONUS if well_formed else 0.0)


def log_probabilities(model, prompt, said):
    """Log probabilities of the tokens after the first of each row, with the prompt read once; and which are real."""
    x = torch.tensor([prompt])
    _, past = model.hidden(x, places(1, len(prompt)), causal(1, len(prompt)), model.empty(1))
    y = pad(said)
    rows, new = len(y), y.shape[1] - 1
    old = torch.ones(rows, len(prompt), dtype=torch.bool)
    hidden, _ = model.hidden(y[:, :-1], places(rows, new, len(prompt)), causal(rows, new, old), past.expand(rows, -1, -1, -1, -1))
    chosen = model.logits(hidden).log_softmax(-1).gather(2, y[:, 1:, None])[:, :, 0]
    return chosen, (y[:, 1:] != PAD).float()


def group_loss(model, reference, ids, prompt, right, first, rng):
    """GRPO over one group; None where all rewards are equal, for then there is nothing to prefer. One update a group, so
    the policy that sampled is the policy that learns and the clip binds only from a second pass on."""
    firsts = [a_first(model, ids, prompt, right, first, rng) for _ in range(GROUP)]
    said = sample(model, ids, prompt, firsts, GROUP)
    rewards = torch.tensor([reward(ids, s, right) for s in said])
    if rewards.std() < 1e-6:
        return None, rewards
    advantage = ((rewards - rewards.mean()) / (rewards.std() + 1e-6))[:, None]
    new, real = log_probabilities(model, prompt, said)
    with torch.no_grad():
        old = new.detach()
        base, _ = log_probabilities(reference, prompt, said)
    ratio = (new - old).exp()
    gain = torch.minimum(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage)
    kl = (base - new).exp() - (base - new) - 1
    return -(((gain - KL * kl) * real).sum(1) / real.sum(1)).mean(), rewards


def a_first(model, ids, prompt, right, how, rng):
    if how == "gold":
        return ids.verdict(right)
    share = 0.5 if how == "forced" else first_probabilities(model, ids, [prompt])[0]
    return ids.verdict(rng.random() < share)


@torch.no_grad()
def first_probabilities(model, ids, prompts):
    """A': the probability of right against wrong as the first token."""
    x = pad(prompts)
    at = torch.tensor([len(p) - 1 for p in prompts])
    logits, _ = model(x, places(*x.shape), causal(*x.shape), model.empty(len(x)), at)
    return logits[:, [ids.wrong, ids.right]].softmax(-1)[:, 1].tolist()
