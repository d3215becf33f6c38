"""How much memory runs take beside the images, which all workers share."""

from __future__ import annotations

from doubleread.nouns import Compute
from doubleread.recipe import Recipe
from doubleread.training.evaluation import EVALUATION_BATCH
from doubleread.training.model import count_parameters

PROCESS = 160 * 2**20
"""Bytes of a worker beside what it trains: the server's pages that it writes to. Measured: 20 to 140 MiB."""


def worker_bytes(recipe: Recipe, compute: Compute, pixels: int) -> int:
    """Return about how many bytes a worker has for itself while it trains one run on images of so many pixels.

    Weights, moments, for autograd gradients; at the end a copy of the weights, the model that computes the logits, and
    the file that is written. Batches as bytes, and as float32 where a path widens them whole.
    """
    cases = max(recipe.batch_size, EVALUATION_BATCH)
    batch = {"reference": 6, "tiles": 3, "native": 2, "stacked": 9}[compute.path]
    return PROCESS + 7 * 4 * count_parameters(recipe, pixels) + batch * cases * pixels


def stack_bytes(recipe: Recipe, pixels: int) -> int:
    """Return about how many bytes of its device one run takes in a stack.

    Weights, gradients and two moments; for bf16 their rounded copy; the copy of the weights that a capture takes; a
    training batch, which a graph keeps, and one of an evaluation.
    """
    cases = recipe.batch_size + max(recipe.batch_size, EVALUATION_BATCH)
    return 6 * 4 * count_parameters(recipe, pixels) + cases * pixels * (1 + 4 + 4)
