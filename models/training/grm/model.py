"""The reward model: a small decoder over PRA texts, and its tokenizer. Plain PyTorch; the very graph that is exported."""
import math
import re

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from torch import nn
from torch.nn import functional as F

from reflect import END, FINAL, OPERATORS, RIGHT, WRONG

PAD, UNKNOWN = 0, 1
# What each part of a block adds is left out in so many places, in training.
DROPPED = 0.1
# What a masked score gets: its exponential is exactly nought in float32.
MASKED = -1e9


def train_tokenizer(texts, size):
    """Byte-pair pieces of characters, whole markers as single tokens. No normaliser, so a text never has more tokens than
    characters; a character that is not known is one unknown token."""
    markers = sorted({m for text in texts for m in re.findall(r"\[[^\]\n]*\]", text)})
    fixed = ["[PAD]", "[UNK]", RIGHT, WRONG, FINAL, END, *OPERATORS]
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    split = lambda pattern, how: pre_tokenizers.Split(Regex(pattern), how)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split(r"[0-9]|\n", "isolated"), split(r"[，。；：！？、（）“” ]", "merged_with_previous")])
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=3, limit_alphabet=3000, show_progress=False,
                                  special_tokens=fixed + [m for m in markers if m not in fixed])
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def tokenizer_at(path, rows, size):
    """The tokenizer that is kept there; if there is none, one made of the examples to learn from."""
    if not path.exists():
        train_tokenizer([r["pra"] + r["reflection"] for r in rows if r["split"] == "train"], size).save(str(path))
    return Tokenizer.from_file(str(path))


class Config:
    """Sizes. `tokens` is the longest text with its reflection."""

    def __init__(self, vocabulary, width=256, layers=4, heads=4, tokens=640):
        self.vocabulary, self.width, self.layers, self.heads, self.tokens = vocabulary, width, layers, heads, tokens
        self.head_width = width // heads

    def sizes(self):
        return {k: getattr(self, k) for k in ("vocabulary", "width", "layers", "heads", "tokens")}


def turns(c):
    """Cosines and sines by place, [tokens, head width]: keys and queries are turned by their places."""
    speed = 10_000.0 ** (-torch.arange(0, c.head_width, 2) / c.head_width)
    angle = torch.arange(c.tokens)[:, None] * speed
    angle = torch.cat([angle, angle], dim=1)
    return angle.cos(), angle.sin()


def turn(x, cos, sin):
    """`x` [..., head width]."""
    low, high = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-high, low], dim=-1) * sin


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.norm1, self.norm2 = nn.LayerNorm(c.width), nn.LayerNorm(c.width)
        self.qkv, self.out = nn.Linear(c.width, 3 * c.width, bias=False), nn.Linear(c.width, c.width, bias=False)
        self.up, self.down = nn.Linear(c.width, 4 * c.width, bias=False), nn.Linear(4 * c.width, c.width, bias=False)

    def parts(self, x, at):
        """Queries, keys and values of `x` [rows, new, width], each [rows, heads, new, head width]; `at` turns the first two."""
        c = self.c
        q, k, v = self.qkv(self.norm1(x)).reshape(*x.shape[:2], 3, c.heads, c.head_width).permute(2, 0, 3, 1, 4)
        return turn(q, *at), turn(k, *at), v

    def rest(self, x, seen):
        """What follows attention; `seen` [rows, heads, new, head width]."""
        dropped = lambda y: F.dropout(y, DROPPED, self.training)
        x = x + dropped(self.out(seen.transpose(1, 2).reshape(x.shape)))
        return x + dropped(self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh")))

    def forward(self, x, at, mask, past):
        """`mask` [rows, 1, new, old + new] is added to the scores; `past` the old keys and values, [rows, 2, heads, old,
        head width]. Without a mask nothing is old and each token sees those before it."""
        q, k, v = self.parts(x, at)
        fresh = torch.stack([k, v], dim=1)
        if mask is None:
            return self.rest(x, F.scaled_dot_product_attention(q, k, v, is_causal=True)), fresh
        k, v = torch.cat([past[:, 0], k], dim=2), torch.cat([past[:, 1], v], dim=2)
        scores = q @ k.transpose(2, 3) / math.sqrt(self.c.head_width) + mask
        return self.rest(x, scores.softmax(-1) @ v), fresh

    def after(self, x, at, past, hidden, own):
        """One token a row, as many rows after each prompt: `past` [prompts, 2, heads, old, head width] is the prompts', of which
        `hidden` [prompts, 1, 1, old] is added to the scores, `own` what each row added, [rows, 2, heads, done, head width]. No
        prompt is copied for its rows."""
        q, k, v = self.parts(x, at)
        own = torch.cat([own, torch.stack([k, v], dim=1)], dim=3)
        apart = lambda y: y.reshape(len(past), -1, self.c.heads, y.shape[-1]).transpose(1, 2)
        together = lambda y: y.transpose(1, 2).reshape(len(q), self.c.heads, 1, -1)
        old = together(apart(q) @ past[:, 0].transpose(2, 3) + hidden)
        scores = torch.cat([old, q @ own[:, 0].transpose(2, 3)], dim=3) / math.sqrt(self.c.head_width)
        share = scores.softmax(-1)
        first = together(apart(share[..., :old.shape[3]]) @ past[:, 1])
        return self.rest(x, first + share[..., old.shape[3]:] @ own[:, 1]), own


class Decoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embed = nn.Embedding(c.vocabulary, c.width)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.norm = nn.LayerNorm(c.width)
        cos, sin = turns(c)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def empty(self, rows):
        c = self.c
        return torch.zeros(rows, 2 * c.layers, c.heads, 0, c.head_width)

    def at(self, places):
        return self.cos[places][:, None], self.sin[places][:, None]

    def hidden(self, ids, places, mask, past):
        """Last hidden states [rows, new, width] and the new keys and values [rows, 2 * layers, heads, new, head width]."""
        x, at = self.embed(ids), self.at(places)
        fresh = []
        for i, block in enumerate(self.blocks):
            x, kv = block(x, at, mask, None if mask is None else past[:, 2 * i:2 * i + 2])
            fresh.append(kv)
        return self.norm(x), torch.cat(fresh, dim=1)

    def read(self, ids):
        """Hidden states of whole texts, nothing before them."""
        return self.hidden(ids, places(*ids.shape), None, None)

    def logits(self, hidden):
        return hidden @ self.embed.weight.T

    def forward(self, ids, places, mask, past, at):
        """Logits of one place a row (`at`, [rows]): what the exported graph computes."""
        hidden, fresh = self.hidden(ids, places, mask, past)
        rows = torch.arange(ids.shape[0])
        return self.logits(hidden[rows, at]), fresh

    def after(self, token, place, past, hidden, own):
        """Logits after one more token a row, at `place` [rows]; see `Block.after`."""
        x, at = self.embed(token)[:, None], self.at(place[:, None])
        added = []
        for i, block in enumerate(self.blocks):
            x, kv = block.after(x, at, past[:, 2 * i:2 * i + 2], hidden, own[:, 2 * i:2 * i + 2])
            added.append(kv)
        return self.logits(self.norm(x[:, 0])), torch.cat(added, dim=1)


def restored(path):
    """The model of a saved run, on the processor or wherever tensors go by default, and all that was saved."""
    state = torch.load(path, weights_only=False, map_location="cpu")
    model = Decoder(Config(**state["config"]))
    model.load_state_dict(state["model"])
    return model.eval(), state


def causal(rows, new, old_mask=None):
    """The mask of new tokens after old ones; `old_mask` [rows, old] is true where an old token is real."""
    mask = torch.full((new, new), MASKED).triu(1).expand(rows, 1, new, new)
    if old_mask is None:
        return mask
    old = torch.where(old_mask, 0.0, MASKED)[:, None, None, :].expand(rows, 1, new, old_mask.shape[1])
    return torch.cat([old, mask], dim=-1)


def pad(sequences):
    width = max(map(len, sequences))
    return torch.tensor([list(s) + [PAD] * (width - len(s)) for s in sequences])


def places(rows, new, start=0):
    return torch.arange(start, start + new).expand(rows, new)
