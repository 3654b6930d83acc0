"""The four arms' losses. A text is prompt (PRA), first token A', then reflection R' with the final verdict A''.

The Merge Loss adds cross-entropy on the first token, once a prompt and for every prompt, to GRPO on the tokens after it. The
reward is A'' being right plus a small bonus for a well-formed reflection; A' earns nothing, or GRPO would teach it to guess.
"""
import torch
from torch.nn import functional as F

from model import MASKED, PAD, UNKNOWN, causal, pad, places
from reflect import END, FINAL, OPERATORS, RIGHT, WRONG

GROUP, CLIP, KL = 8, 0.2, 0.02
FORMAT_BONUS = 0.1
LONGEST = 72
# How often R' is taught after the wrong A', so that A'' learns to look again and not to repeat A'.
CONTRADICTED = 0.25
# Words that are blanked, lest cases be known by heart: of R and A a few; of P so many at most. In a share of the batches P is
# left out, so that what R says of itself must do; so much shorter, they hold so many times as many examples.
BLANK, MOST_BLANK, UNTOLD, MORE = 0.05, 0.5, 0.6, 2.5
# In so many examples so many of the digits of the longer numbers of R and A are blanked: they name the case too.
NUMBERLESS, DIGITS = 0.5, 0.6
# What A' is when R' is sampled: drawn from the model, the gold, or forced to either at random.
FIRST = ("sampled", "gold", "forced")


class Ids:
    """The ids of the tokens that the losses speak of."""

    def __init__(self, tokenizer):
        of = tokenizer.token_to_id
        self.right, self.wrong, self.final, self.end = of(RIGHT), of(WRONG), of(FINAL), of(END)
        self.operators = [of(op) for op in OPERATORS]
        self.line, self.problem, self.reasoning = of("\n"), of("[P]"), of("[R]")
        self.digits = [i for i in map(of, "0123456789") if i is not None]
        self.point = of(".")
        # Tokens from here on are words; before stand the marks.
        self.plain = 1 + max(i for token, i in tokenizer.get_vocab().items() if token.startswith("[") and token.endswith("]"))

    def verdict(self, right):
        return self.right if right else self.wrong


def columns(batch):
    return [[r[key] for r in batch] for key in ("pra_ids", "reflection_ids", "right")]


def last_hidden(model, prompts):
    x = pad(prompts)
    return model.read(x)[0][torch.arange(len(x)), torch.tensor([len(p) - 1 for p in prompts])]


def first_token_loss(model, ids, prompts, right):
    """Cross-entropy of A' over all tokens; no decoding."""
    target = torch.tensor([ids.verdict(r) for r in right])
    return F.cross_entropy(model.logits(last_hidden(model, prompts)).float(), target)


def supervised_loss(model, ids, prompts, reflections, right, weight=0.3):
    """A' and A'' at full weight, the words between them at less."""
    hidden = model.read(pad([p + [ids.verdict(r)] + list(t) for p, t, r in zip(prompts, reflections, right)]))[0]
    return reflection_loss(model, ids, hidden, prompts, reflections, right, weight)


def reflection_loss(model, ids, hidden, prompts, reflections, right, weight=0.3):
    row, at, target, worth = [], [], [], []
    for i, (p, t) in enumerate(zip(prompts, reflections)):
        row += [i] * (len(t) + 1)
        at += range(len(p) - 1, len(p) + len(t))
        target += [ids.verdict(right[i]), *t]
        worth += [1.0] + [weight / len(t)] * len(t)
        worth[-2] += 0.5
    losses = F.cross_entropy(model.logits(hidden[row, at]).float(), torch.tensor(target), reduction="none")
    return (losses * torch.tensor(worth)).sum() / len(prompts)


def without_problem(row, ids):
    """The example with P left out; the rule stays."""
    begins, ends = (row["pra_ids"].index(mark) for mark in (ids.problem, ids.reasoning))
    told, gone = row["pra_ids"][:begins] + row["pra_ids"][ends:], ends - begins
    return row | {"pra_ids": told, "holds": [(end - gone, truth) for end, truth in row["holds"] if end >= ends]}


def of_long_numbers(x, ids):
    """Digits beside another digit or a point. One alone counts items or days: it names no case, and much turns on it."""
    digit = torch.isin(x, torch.tensor(ids.digits))
    beside = digit | (x == ids.point) if ids.point is not None else digit
    before, after = F.pad(beside, (1, 0))[:, :-1], F.pad(beside, (0, 1))[:, 1:]
    return digit & (before | after)


def warm_up_loss(model, ids, batch, rng, words=0.15, share=0.2):
    """The supervised loss, and two that only teach to read: whether each line of R holds by the gold, asked where the line
    ends, and the next token at a share of the places."""
    given = [r["right"] != (rng.random() < CONTRADICTED) for r in batch]
    x = pad([r["pra_ids"] + [ids.verdict(g)] + r["reflection_ids"] for r, g in zip(batch, given)])
    generator = torch.Generator(device="cpu").manual_seed(rng.getrandbits(62))
    noise, digit_noise = (torch.rand(x.shape, generator=generator, device="cpu").to(x.device) for _ in range(2))
    place = torch.arange(x.shape[1])[None]
    inside = place < torch.tensor([len(r["pra_ids"]) - 1 for r in batch])[:, None]
    # The rule, which is shared by many cases, then P, then R and A.
    rule_ends = torch.tensor([next(i for i, t in enumerate(r["pra_ids"]) if t in (ids.problem, ids.reasoning)) for r in batch])[:, None]
    ruled, problem = place < rule_ends, place < torch.tensor([r["pra_ids"].index(ids.reasoning) for r in batch])[:, None]
    rate = torch.tensor([rng.random() * MOST_BLANK for _ in batch])[:, None]
    numberless = torch.tensor([rng.random() < NUMBERLESS for _ in batch])[:, None]
    blank = (x >= ids.plain) & (noise < torch.where(ruled, 0.0, torch.where(problem, rate, BLANK)))
    blank |= ~problem & numberless & of_long_numbers(x, ids) & (digit_noise < DIGITS)
    hidden = model.read(torch.where(blank & inside, UNKNOWN, x))[0]
    loss = reflection_loss(model, ids, hidden, *columns(batch))
    told = [(i, at, holds) for i, r in enumerate(batch) for at, holds in r["holds"]]
    if told:
        row, at, holds = torch.tensor(told).T
        pair = model.logits(hidden[row, at])[:, [ids.wrong, ids.right]].float()
        loss = loss + F.cross_entropy(pair, holds)
    row, at = (inside & (noise > 1 - share) & (x != ids.line)).nonzero(as_tuple=True)
    if len(row):
        loss = loss + words * F.cross_entropy(model.logits(hidden[row, at]).float(), x[row, at + 1])
    return loss


def masked(prompts, old):
    """What keeps rows from looking at the padding of their prompts, [prompts, 1, 1, old]."""
    real = torch.arange(old)[None] < torch.tensor([len(p) for p in prompts])[:, None]
    return torch.where(real, 0.0, MASKED)[:, None, None]


@torch.no_grad()
def sample(model, ids, prompts, firsts, longest=LONGEST):
    """Continuations of each prompt after each of its first tokens. Gives the tokens with the first, up to the end, by row."""
    x = pad(prompts)
    _, past = model.read(x)
    hidden, rows = masked(prompts, x.shape[1]), len(firsts[0])
    start = torch.tensor([len(p) for p in prompts]).repeat_interleave(rows)
    token = torch.tensor(firsts).flatten()
    own = model.empty(len(token))
    said, done = [token], torch.zeros(len(token), dtype=torch.bool)
    for step in range(longest):
        logits, own = model.after(token, start + step, past, hidden, own)
        token = torch.distributions.Categorical(logits=logits.float()).sample()
        token = torch.where(done, PAD, token)
        said.append(token)
        done |= token == ids.end
        if done.all():
            break
    return [[t for t in row if t != PAD] for row in torch.stack(said, dim=1).tolist()]


def verdict_of(ids, said):
    """A'', or None where the reflection does not end as it should."""
    ends = len(said) >= 4 and said[-1] == ids.end and said[-3] == ids.final and said[-2] in (ids.right, ids.wrong)
    return (said[-2] == ids.right) if ends else None


def reward(ids, said, right):
    final = verdict_of(ids, said)
    operators = [t for t in said if t in ids.operators]
    well_formed = final is not None and len(operators) >= 4 and len(set(operators)) == len(operators)
    return (1.0 if final == right else 0.0) + (FORMAT_BONUS if well_formed else 0.0)


def log_probabilities(model, prompts, said):
    """Log probabilities of the tokens after the first of each row, with each prompt read once; and which are real."""
    x, y = pad(prompts), pad(said)
    _, past = model.read(x)
    rows, new, each = len(y), y.shape[1] - 1, len(y) // len(x)
    real = (masked(prompts, x.shape[1]) == 0)[:, 0, 0].repeat_interleave(each, 0)
    start = torch.tensor([len(p) for p in prompts]).repeat_interleave(each)[:, None]
    hidden, _ = model.hidden(y[:, :-1], start + places(rows, new), causal(rows, new, real), past.repeat_interleave(each, 0))
    chosen = model.logits(hidden).float().log_softmax(-1).gather(2, y[:, 1:, None])[:, :, 0]
    return chosen, (y[:, 1:] != PAD).float()


def group_loss(model, reference, ids, prompts, right, first, rng):
    """GRPO over a group a prompt, as a mean over the prompts; None where the rewards of every group are equal, for then there
    is nothing to prefer. One update a group, so the policy that sampled is the policy that learns and the clip binds only from
    a second pass on. Gives the rewards too, a row a prompt."""
    firsts = first_verdicts(model, ids, prompts, right, first, rng)
    said = sample(model, ids, prompts, firsts)
    rewards = torch.tensor([reward(ids, s, right[i // GROUP]) for i, s in enumerate(said)]).view(-1, GROUP)
    spread = rewards.std(dim=1, keepdim=True)
    telling = [i for i in range(len(prompts)) if spread[i] >= 1e-6]
    if not telling:
        return None, rewards
    advantage = ((rewards - rewards.mean(dim=1, keepdim=True)) / (spread + 1e-6))[telling].view(-1, 1)
    prompts, said = [prompts[i] for i in telling], [s for i in telling for s in said[i * GROUP:(i + 1) * GROUP]]
    new, real = log_probabilities(model, prompts, said)
    with torch.no_grad():
        old = new.detach()
        base, _ = log_probabilities(reference, prompts, said)
    ratio = (new - old).exp()
    gain = torch.minimum(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage)
    kl = (base - new).exp() - (base - new) - 1
    each = -((gain - KL * kl) * real).sum(1) / real.sum(1)
    return each.sum() / rewards.numel(), rewards


def first_verdicts(model, ids, prompts, right, how, rng):
    """The first tokens of each prompt's group."""
    if how == "gold":
        return [[ids.verdict(r)] * GROUP for r in right]
    shares = [0.5] * len(prompts) if how == "forced" else first_probabilities(model, ids, prompts)
    return [[ids.verdict(rng.random() < share) for _ in range(GROUP)] for share in shares]


@torch.no_grad()
def first_probabilities(model, ids, prompts):
    """A': the probability of right against wrong as the first token."""
    logits = model.logits(last_hidden(model, prompts)).float()
    return logits[:, [ids.wrong, ids.right]].softmax(-1)[:, 1].tolist()
