"""Which path computes a run: the fastest that knows everything in its recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from doubleread.errors import UserError
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
CLOSED = {"tiles": TiledPerceptron, "native": NativePerceptron}


def resolve_device(wanted: str) -> Literal["cpu", "cuda"]:
    """Return the device that `auto`, `cpu` or `cuda` means here: with `auto`, CUDA where there is one.

    Raises:
        UserError: CUDA is wanted and there is none, or it is another word.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise UserError("--device", f"got {wanted}", "expected auto, cpu or cuda")
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise UserError(
            "--device cuda", "PyTorch finds no CUDA device", "", "leave out --device, or install its drivers"
        )
    return "cuda" if there and wanted != "cpu" else "cpu"


def compute_of(recipe: Recipe, device: Literal["cpu", "cuda"] = "cpu") -> Compute:
    """Return how a run of `recipe` is computed on a device of this machine.

    A perceptron has a closed form: stacked on CUDA; on the CPU by the compiled routine where there is one and the run
    has one thread, else in column tiles. Everything else goes to the reference loop.
    """
    closed = recipe.model.name == "mlp" and set(recipe.canonical()) <= KNOWN
    if device == "cuda":
        # what a device gains from bf16 is not measured here
        precision = "bf16" if recipe.precision == "bf16" else "fp32"
        return Compute(device="cuda", precision=precision, path="stacked" if closed else "reference")
    if not closed:
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
    bf16 = compute.precision == "bf16"
    if compute.path == "reference":
        return ReferenceTrainer(recipe, seed, intensity, data, bf16=bf16, device=compute.device)
    return CLOSED[compute.path](recipe, seed, intensity, data, bf16=bf16)
