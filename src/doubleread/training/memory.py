"""How much memory a run takes beside the images, which all workers share."""

from __future__ import annotations

from itertools import pairwise

from doubleread.nouns import Compute
from doubleread.recipe import Recipe

PROCESS = 80 * 2**20
"""Bytes of a worker beside what it trains: the server's pages that it writes to. Measured: 20 to 60 MiB."""
PASSED = 128
"""Cases at once in an evaluation, about."""


def bytes_of_run(recipe: Recipe, compute: Compute, pixels: int) -> int:
    """Return about how many bytes a worker has for itself while it trains a run on images of so many pixels.

    Weights and moments; for autograd their slopes; at the end a second copy of the weights, and the file that they are
    written to. Batches as bytes, and as float32 where a path widens them whole.
    """
    widths = [pixels, *recipe.model.hidden, 2]
    weights = 4 * sum((a + 1) * b for a, b in pairwise(widths))
    cases = max(recipe.batch_size, PASSED)
    copies = {"reference": 7, "tiles": 7, "native": 7, "stacked": 8}[compute.path]
    batch = {"reference": 6, "tiles": 2, "native": 2, "stacked": 9}[compute.path]
    return PROCESS + copies * weights + batch * cases * pixels
