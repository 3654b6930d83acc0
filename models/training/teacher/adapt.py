"""Teaches the causal model to read both ways: hidden tokens are predicted from the position before them, as the model
predicted next tokens all along, but now with the text behind them in view."""
import torch
import torch.nn.functional as F

import loop
import vocab

HIDDEN = 0.2
RATE = 1e-4


def rows(stream, step, batch, length):
    """The step's rows of the stream, each behind the opening token, and which of their tokens are hidden."""
    random = loop.generator("adapt", step)
    starts = random.integers(0, max(1, len(stream) - length), size=batch)
    ids = torch.stack([torch.from_numpy(stream[s:s + length - 1].astype("int64")) for s in starts])
    ids = F.pad(ids, (1, 0), value=vocab.BOS)
    hidden = torch.from_numpy(random.random(ids.shape) < HIDDEN)
    hidden[:, 0] = False
    return ids, hidden & (ids != vocab.BOS)


def hidden_loss(model, ids, hidden):
    """Cross entropy of the hidden tokens, each predicted at the position before it."""
    seen = model(ids.masked_fill(hidden, vocab.MASK))
    before = hidden[:, 1:]
    return F.cross_entropy(model.logits(seen[:, :-1][before]).float(), ids[:, 1:][before])


def adapt(model, stream, path, steps=900, batch=48, length=256, rate=RATE, deadline=None):
    """Adapts the model in place; gives the losses."""
    where = next(model.parameters()).device

    def loss_of(step):
        ids, hidden = rows(stream, step, batch, length)
        return hidden_loss(model, ids.to(where), hidden.to(where))

    return loop.train("adapt", model, [(model.parameters(), rate)], steps, loss_of, path, deadline, report=50)
