"""How much memory runs take beside the images, which all workers share."""

from __future__ import annotations

from doubleread.nouns import Compute
from doubleread.recipe import Recipe
from doubleread.training.evaluation import EVALUATION_BATCH
from doubleread.training.model import size_of

PROCESS = 160 * 2**20
"""Bytes of a worker beside what it trains: the server's pages that it writes to. Measured: 20 to 140 MiB."""
LAYERS = 2
"""Numbers that autograd keeps for each one that a layer gives: that one, and what the norm or ReLU behind it needs."""

Shape = tuple[int, int, int]


def worker_bytes(recipe: Recipe, compute: Compute, shape: Shape, classes: int = 2) -> int:
    """Return about how many bytes a worker has for itself while it trains one run on images of `shape`.

    Weights, moments, for autograd gradients, where they are wanted an average and the best so far; at the end a copy of
    the weights, the model that computes the logits, and the file that is written. Batches as bytes, and as float32
    where a path widens them whole. What the layers of a network give, for as many cases as are computed at once.
    """
    size, pixels = size_of(recipe, shape, classes), shape[0] * shape[1] * shape[2]
    cases = max(recipe.batch_size, EVALUATION_BATCH)
    batch = {"reference": 6, "tiles": 3, "native": 2, "stacked": 9}[compute.path]
    copies = 7 + (recipe.ema is not None) + (recipe.keep == "best")
    at_once = max(LAYERS * -(-recipe.batch_size // recipe.accumulate), EVALUATION_BATCH // 4)
    layers = 4 * size.activations * at_once if compute.path == "reference" else 0
    return PROCESS + copies * 4 * size.parameters + batch * cases * pixels + layers


def stack_bytes(recipe: Recipe, shape: Shape) -> int:
    """Return about how many bytes of its device one run takes in a stack.

    Weights, gradients and two moments; for bf16 their rounded copy; the copy of the weights that a capture takes; a
    training batch, which a graph keeps, and one of an evaluation.
    """
    cases = recipe.batch_size + max(recipe.batch_size, EVALUATION_BATCH)
    pixels = shape[0] * shape[1] * shape[2]
    return 6 * 4 * size_of(recipe, shape).parameters + cases * pixels * (1 + 4 + 4)
