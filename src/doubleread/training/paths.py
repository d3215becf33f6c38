"""Which path computes a run: the fastest that knows everything in its recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doubleread.nouns import Compute, RunData
from doubleread.recipe import Recipe
from doubleread.training import native
from doubleread.training.native_perceptron import NativePerceptron
from doubleread.training.perceptron import TiledPerceptron
from doubleread.training.precision import resolve_precision
from doubleread.training.reference import ReferenceTrainer

if TYPE_CHECKING:
    from doubleread.training.loop import Trainer

KNOWN = frozenset({"model", "loss", "optimizer", "schedule", "batch_size", "epochs", "threads", "precision"})
"""What the closed form knows of a recipe; anything else that a recipe sets is the reference loop's."""
TRAINERS = {"reference": ReferenceTrainer, "tiles": TiledPerceptron, "native": NativePerceptron}


def compute_of(recipe: Recipe) -> Compute:
    """Return how a run of `recipe` is computed on this machine's CPU.

    A perceptron has a closed form: by the compiled routine where there is one and the run has one thread, else in
    column tiles. Everything else goes to the reference loop.
    """
    if recipe.model.name != "mlp" or not set(recipe.canonical()) <= KNOWN:
        return Compute(device="cpu", precision=resolve_precision(recipe.precision, "reference"), path="reference")
    if recipe.threads > 1 or not native.is_available():
        return Compute(device="cpu", precision=resolve_precision(recipe.precision, "tiles"), path="tiles")
    precision = resolve_precision(recipe.precision, "native")
    # without the processor's own bf16 products the routine has none; PyTorch rounds the factors anywhere
    path = "tiles" if precision == "bf16" and not native.native().has_bf16 else "native"
    return Compute(device="cpu", precision=precision, path=path)


def make_trainer(recipe: Recipe, seed: int, intensity: str, data: RunData, compute: Compute) -> Trainer:
    """Return the moving parts of a run on the path that `compute` names.

    Raises:
        native.Unavailable: it names the compiled routine, and there is none here.
    """
    return TRAINERS[compute.path](recipe, seed, intensity, data, bf16=compute.precision == "bf16")
