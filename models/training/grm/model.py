"""The reward model: a small decoder over PRA texts, and its tokenizer. Plain PyTorch; the very graph that is exported."""
import math
import re

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from torch import nn
from torch.nn import functional as F

from reflect import END, FINAL, OPERATORS, RIGHT, WRONG

PAD, UNKNOWN = 0, 1
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


class Config:
    """Sizes. `tokens` is the longest text with its reflection."""

    def __init__(self, vocabulary, width=128, layers=3, heads=4, tokens=640):
        self.vocabulary, self.width, self.layers, self.heads, self.tokens = vocabulary, width, layers, heads, tokens
        self.head_width = width // heads

    def sizes(self):
        return {k: getattr(self, k) for k in ("vocabulary", "width", "layers", "heads", "tokens")}


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.norm1, self.norm2 = nn.LayerNorm(c.width), nn.LayerNorm(c.width)
        self.qkv, self.out = nn.Linear(c.width, 3 * c.width, bias=False), nn.Linear(c.width, c.width, bias=False)
        self.up, self.down = nn.Linear(c.width, 4 * c.width, bias=False), nn.Linear(4 * c.width, c.width, bias=False)

    def forward(self, x, mask, past):
        """`x` [rows, new, width]; `mask` [rows, 1, new, old + new] is added to the scores; `past` the old keys and values,
        [rows, 2, heads, old, head width]. Gives the new x and the new keys and values."""
        c = self.c
        rows, new, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(rows, new, 3, c.heads, c.head_width).permute(2, 0, 3, 1, 4)
        fresh = torch.stack([k, v], dim=1)
        k, v = torch.cat([past[:, 0], k], dim=2), torch.cat([past[:, 1], v], dim=2)
        scores = q @ k.transpose(2, 3) / math.sqrt(c.head_width) + mask
        x = x + self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(rows, new, c.width))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh")), fresh


class Decoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embed, self.place = nn.Embedding(c.vocabulary, c.width), nn.Embedding(c.tokens, c.width)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.norm = nn.LayerNorm(c.width)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def empty(self, rows):
        c = self.c
        return torch.zeros(rows, 2 * c.layers, c.heads, 0, c.head_width)

    def hidden(self, ids, places, mask, past):
        """Last hidden states [rows, new, width] and the new keys and values [rows, 2 * layers, heads, new, head width]."""
        x = self.embed(ids) + self.place(places)
        fresh = []
        for i, block in enumerate(self.blocks):
            x, kv = block(x, mask, past[:, 2 * i:2 * i + 2])
            fresh.append(kv)
        return self.norm(x), torch.cat(fresh, dim=1)

    def logits(self, hidden):
        return hidden @ self.embed.weight.T

    def forward(self, ids, places, mask, past, at):
        """Logits of one place a row (`at`, [rows]): what the exported graph computes."""
        hidden, fresh = self.hidden(ids, places, mask, past)
        rows = torch.arange(ids.shape[0])
        return self.logits(hidden[rows, at]), fresh


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
