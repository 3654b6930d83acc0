"""Tokens, n-grams and the linear scorer whose sums are exact.

A text's segment is the set of its character n-grams; each is weighed by its rarity and the segment is brought to length
one. Rarities are multiples of 1/4 and weights are 8-bit integers, so every sum is one of integers below 2^24: it has the
same bits in any order, in float32, on any number of threads. Only square root, division and additions of a few doubles
follow, in a fixed order.
"""
import json
import re

import numpy as np
import scipy.sparse as sp
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

PAD, UNK, SEP = "[PAD]", "[UNK]", "[SEP]"
SPECIAL = re.compile(r"\[[A-Z]+\]|\[F:[a-z]+=[a-z0-9_]+\]")
IDF_STEP = 4
LEVELS = 127


def build_tokenizer(texts, markers, rare=2):
    """One token a character (compatibility form, lower case) seen at least `rare` times; markers and facts are tokens."""
    normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    chars, facts = {}, set()
    for text in texts:
        facts.update(f for f in SPECIAL.findall(text) if f.startswith("[F:"))
        for c in normalizer.normalize_str(SPECIAL.sub("", text)):
            chars[c] = chars.get(c, 0) + 1
    specials = [PAD, UNK, SEP, *dict.fromkeys(markers), *sorted(facts)]
    vocab = {token: i for i, token in enumerate(specials)}
    for c in sorted(c for c, n in chars.items() if n >= rare):
        vocab[c] = len(vocab)
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token=UNK, fuse_unk=False))
    tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in specials])
    return tokenizer


def save_tokenizer(tokenizer, path):
    """Writes tokenizer.json with its keys in a fixed order."""
    path.write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")


def encode(tokenizer, texts, limit):
    """Token ids of every text, cut to `limit`."""
    return [np.array(e.ids[:limit], dtype=np.int64) for e in tokenizer.encode_batch(texts, add_special_tokens=False)]


class Space:
    """The n-gram pool of one segment with the rarity of each n-gram in quarters."""

    def __init__(self, longest, banned):
        self.longest, self.banned = longest, banned
        self.pool, self.idf = {}, None

    def grams(self, ids):
        """The set of n-grams of a segment, as tuples of token ids."""
        found = set()
        ids = ids.tolist()
        for n in range(1, self.longest + 1):
            for i in range(len(ids) - n + 1):
                gram = tuple(ids[i:i + n])
                if not self.banned.intersection(gram):
                    found.add(gram)
        return found

    def fit(self, rows, rarest, weigh):
        """Takes the n-grams that at least `rarest` rows have, in a fixed order; `weigh` turns rarity on."""
        counts = {}
        for row in rows:
            for gram in row:
                counts[gram] = counts.get(gram, 0) + 1
        kept = sorted((g for g, n in counts.items() if n >= rarest), key=lambda g: (len(g), g))
        self.pool = {gram: i for i, gram in enumerate(kept)}
        df = np.array([counts[g] for g in kept], dtype=np.float64)
        filled = sum(1 for row in rows if row)
        idf = np.log((1 + filled) / (1 + df)) + 1 if weigh else np.ones(len(kept))
        self.idf = np.maximum(1, np.rint(idf * IDF_STEP)).astype(np.int64)

    def presence(self, rows):
        """Rows of zeros and ones over the pool."""
        indices, starts = [], [0]
        for row in rows:
            indices.extend(sorted(self.pool[g] for g in row if g in self.pool))
            starts.append(len(indices))
        data = np.ones(len(indices))
        return sp.csr_matrix((data, indices, starts), shape=(len(rows), max(1, len(self.pool))))

    def norms(self, presence):
        """The length of every row; 1 where a row is empty."""
        squares = presence @ (self.idf.astype(np.float64) ** 2) if self.pool else np.zeros(presence.shape[0])
        return np.sqrt(np.maximum(squares, 1.0))

    def unit(self, presence, norms):
        """Rows of length one, for the fit."""
        if not self.pool:
            return presence
        return sp.diags(1 / norms) @ presence @ sp.diags(self.idf.astype(np.float64))


class Segments:
    """Splits encoded texts into segments by counting markers, as the models do."""

    def __init__(self, task, tokenizer):
        self.task = task
        self.markers = {tokenizer.token_to_id(m) for m in task.segments}
        self.banned = frozenset({tokenizer.token_to_id(t) for t in (PAD, UNK, SEP)} | self.markers)

    def split(self, encoded):
        """A list of n-gram sets for each used segment."""
        table = np.zeros(max(max(e.max(initial=0) for e in encoded), max(self.markers)) + 1, dtype=np.int64)
        table[list(self.markers)] = 1
        spaces = {s: Space(self.task.longest(s), self.banned) for s in self.task.used()}
        rows = {s: [] for s in spaces}
        for ids in encoded:
            at = np.cumsum(table[ids])
            for s, space in spaces.items():
                rows[s].append(space.grams(ids[at == self.task.segments.index(s) + 1]))
        return rows


class Quantised:
    """A head's weights on one segment: 8-bit integers and one scale a label."""

    def __init__(self, weights, idf):
        # weights: labels x n-grams, to be applied to rows of length one; rarity is folded in here.
        folded = weights * idf[None, :].astype(np.float64) if idf is not None and len(idf) else weights
        top = np.abs(folded).max(axis=1, initial=0)
        self.scale = np.where(top > 0, top / LEVELS, 1.0)
        self.levels = np.rint(folded / self.scale[:, None]).astype(np.int8)

    def scores(self, presence, norms):
        sums = presence @ self.levels.T.astype(np.float64)
        return (np.asarray(sums) * self.scale[None, :]) / norms[:, None]
