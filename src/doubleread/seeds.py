"""Named random streams: one for each purpose, derived from a seed, independent of each other.

A stream's numbers depend only on its name, the seed and the keys, so a new stream never moves an old one.
"""

from __future__ import annotations

import hashlib

import numpy as np


def _entropy(name: str, seed: int, keys: tuple[int | str, ...]) -> list[int]:
    text = "\x1f".join([name, str(seed), *(f"{type(key).__name__}:{key}" for key in keys)])
    digest = hashlib.sha256(text.encode()).digest()
    return [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 32, 4)]


def stream(name: str, seed: int, *keys: int | str) -> np.random.Generator:
    """Return the generator of the stream `name` for `seed`, and for `keys` such as an epoch or a tensor's name."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(_entropy(name, seed, keys))))


def stream_seed(name: str, seed: int, *keys: int | str) -> int:
    """Return a 63-bit seed of the same stream, for a library that wants a number instead of a generator."""
    low, high = _entropy(name, seed, keys)[:2]
    return (high << 32 | low) & (2**63 - 1)


def balanced(labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Return places of cases such that every class has as many, as near as can be: shape (n,), int64, for n labels.

    Of a class with more cases than its share, some; of one with fewer, all of them as often as they go in, and some
    once more. Which they are depends on the seed, the epoch and the labels.
    """
    drawn = stream("balanced", seed, epoch)
    classes, n = np.unique(labels), len(labels)
    shares = [n // len(classes) + (place < n % len(classes)) for place in range(len(classes))]
    chosen = []
    for name, share in zip(classes, shares, strict=True):
        mine = np.flatnonzero(labels == name)
        rounds = -(-share // len(mine))
        chosen.append(np.concatenate([drawn.permutation(mine) for _ in range(rounds)])[:share])
    return np.concatenate(chosen)


def data_order(seed: int, epoch: int, n: int) -> np.ndarray:
    """Return the order of `n` training cases in one epoch: a permutation of 0…n−1, shape (n,), int64.

    It depends on the seed and the epoch alone, so every arm of a seed sees the cases in the same order.
    """
    return stream("order", seed, epoch).permutation(n)
