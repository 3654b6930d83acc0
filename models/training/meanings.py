"""Embeddings of one model turned into the width of another."""
import numpy as np


def turned(vectors, width, std, seed=7):
    """The directions in which the vectors differ most, the strong ones damped; where there are
    no more, and for vectors of nothing but noughts, random ones."""
    known = np.abs(vectors).sum(axis=1) > 0
    own = vectors[known] / np.linalg.norm(vectors[known], axis=1, keepdims=True)
    own -= own.mean(axis=0)
    _, spread, directions = np.linalg.svd(own, full_matrices=False)
    own = own @ directions[:width].T / np.sqrt(spread[:width])
    out = np.random.default_rng(seed).normal(0, std, (len(vectors), width)).astype(np.float32)
    out[known, :own.shape[1]] = own * (std / own.std())
    return out
