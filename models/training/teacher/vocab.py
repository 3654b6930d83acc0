"""Gemma's tokenizer, rebuilt from the weight file and cut down to the tokens that Chinese disputes use."""
import sys
from collections import Counter
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import features
from tasks import TEXT_TASKS as TASKS

CONTROL = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
PAD, EOS, BOS, UNK, MASK = range(len(CONTROL))
NORMAL, BYTE = 1, 6
# How often a token of a question counts, beside one of the other text.
WORTH = 4
LINES = 4096


def merges_of(scores):
    """Every pair of tokens that make a third, in the order in which they are joined."""
    found = []
    for token, score in scores.items():
        pairs = [(token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in scores and token[i:] in scores]
        found += [(-score, i, pair) for i, pair in enumerate(pairs)]
    found.sort(key=lambda m: m[:2])
    return [pair for _, _, pair in found]


def tokenizer_of(pieces, scores, special=()):
    """A byte-pair tokenizer over these pieces (ids in order), joined as the scores say."""
    ids = {piece: i for i, piece in enumerate(pieces)}
    merges = merges_of({p: s for p, s in scores.items() if p in ids})
    made = Tokenizer(models.BPE(vocab=ids, merges=merges, unk_token=CONTROL[UNK], fuse_unk=True, byte_fallback=True))
    made.normalizer = normalizers.Replace(" ", "▁")
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    made.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    return made


def markers(texts):
    """Segment markers and the fact tokens seen in the questions: each becomes one token."""
    facts = {f for text in texts for f in features.SPECIAL.findall(text)}
    return [*dict.fromkeys([features.SEP, *(m for task in TASKS for m in task.segments)]),
            *sorted(f for f in facts if f.startswith("[F:"))]


def batches(texts):
    for start in range(0, len(texts), LINES):
        yield texts[start:start + LINES]


def count(tokenizer, texts, worth=1):
    seen = Counter()
    for part in batches(texts):
        for encoded in tokenizer.encode_batch(part, add_special_tokens=False):
            for token in encoded.tokens:
                seen[token] += worth
    return seen


def parts(piece, rank):
    """The shorter pieces through which characters grow into this one, itself included."""
    symbols, found = list(piece), set(piece)
    while len(symbols) > 1:
        pairs = [(rank[p], i) for i, p in enumerate(zip(symbols, symbols[1:])) if p in rank]
        if not pairs:
            break
        at = min(pairs)[1]
        symbols[at:at + 2] = [symbols[at] + symbols[at + 1]]
        found.add(symbols[at])
    return found


def prune(pieces, scores, types, questions, corpus, size):
    """The most frequent pieces with all they grow from, at most `size` together with control tokens, bytes and markers.
    Gives the kept pieces in order of their new ids, the markers, and the tokenizer over both."""
    normal = {p: s for p, s, t in zip(pieces, scores, types) if t == NORMAL}
    byte = [p for p, t in zip(pieces, types) if t == BYTE]
    special = markers(questions)
    full = tokenizer_of(pieces, normal, special)
    seen = count(full, questions, WORTH) + count(full, corpus)
    rank = {pair: i for i, pair in enumerate(merges_of(normal))}
    room, kept = size - len(CONTROL) - len(byte) - len(special), set()
    for piece, _ in sorted(seen.items(), key=lambda item: (-item[1], item[0])):
        if piece not in normal or piece in kept:
            continue
        more = {p for p in parts(piece, rank) if p in normal} - kept
        if len(kept) + len(more) <= room:
            kept |= more
    order = [*CONTROL, *byte, *(p for p in pieces if p in kept)]
    return order, special, tokenizer_of(order, normal, special), full
