"""Which path computes a run: the fastest that knows everything in its recipe."""

from __future__ import annotations

from typing import Literal

import torch

from doubleread.errors import UserError
from doubleread.nouns import Compute
from doubleread.recipe import Adam, AdamW, Bce, Ce, Linear, Mlp, Plateau, Recipe, Sgd, Spec
from doubleread.training import native
from doubleread.training.native_perceptron import NativePerceptron
from doubleread.training.perceptron import TiledPerceptron
from doubleread.training.precision import resolve_precision
from doubleread.training.records import RunSpec
from doubleread.training.reference import ReferenceTrainer
from doubleread.training.steps import Trainer

KNOWN: dict[type[Spec], frozenset[str]] = {
    Recipe: frozenset(
        {
            *("model", "loss", "optimizer", "schedule", "batch_size", "epochs", "threads", "precision"),
            *("sampling", "warmup", "stop", "keep"),
        }
    ),
    Mlp: frozenset({"name", "hidden", "dropout", "init"}),
    Linear: frozenset({"name", "init"}),
    Bce: frozenset({"name", "class_weights"}),
    Ce: frozenset({"name", "class_weights"}),
    Adam: frozenset({"name", "lr", "betas", "eps", "weight_decay"}),
    AdamW: frozenset({"name", "lr", "betas", "eps", "weight_decay"}),
    Sgd: frozenset({"name", "lr", "momentum", "nesterov", "weight_decay"}),
}
"""What the closed form knows; a part, or an option of a part, that does not stand here is the reference loop's.

Schedules do not matter: every path takes the rate of each step as a number.
"""
ALONE = frozenset({"stop", "keep"})
"""What runs of a stack, which go through the same epochs together, cannot have of these."""
CLOSED = {"tiles": TiledPerceptron, "native": NativePerceptron}


def resolve_device(wanted: str) -> Literal["cpu", "cuda"]:
    """Return the device that `auto`, `cpu` or `cuda` means here: with `auto`, CUDA where there is one.

    Raises:
        UserError: CUDA is wanted and there is none, or it is another word.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise UserError("--device", f"got {wanted}", "expected auto, cpu or cuda", "leave it out for auto")
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise UserError(
            "--device cuda", "PyTorch finds no CUDA device", "", "leave out --device, or install the CUDA driver"
        )
    return "cuda" if there and wanted != "cpu" else "cpu"


def compute_of(
    recipe: Recipe,
    device: Literal["cpu", "cuda"] = "cpu",
    *,
    intensity: str = "unit",
    classes: int = 2,
    bits: int = 8,
) -> Compute:
    """Return how a run of `recipe` is computed on a device of this machine.

    A perceptron for two classes, on images of 8 `bits` that are all scaled alike, has a closed form: stacked on CUDA;
    on the CPU by the compiled routine where there is one and the run has one thread, else in column tiles. Everything
    else goes to the reference loop.
    """
    closed = _is_known(recipe) and classes == 2 and intensity != "image" and bits == 8
    if device == "cuda":
        # what a device gains from bf16 is not measured here
        precision = "bf16" if recipe.precision == "bf16" else "fp32"
        path = "stacked" if closed and _can_be_stacked(recipe) else "reference"
        return Compute(device="cuda", precision=precision, path=path)
    if not closed:
        return Compute(device="cpu", precision=resolve_precision(recipe.precision, "reference"), path="reference")
    if recipe.threads > 1 or not native.is_available():
        return Compute(device="cpu", precision=resolve_precision(recipe.precision, "tiles"), path="tiles")
    precision = resolve_precision(recipe.precision, "native")
    # without the processor's own bf16 products the routine has none; PyTorch rounds the factors anywhere
    path = "tiles" if precision == "bf16" and not native.native().has_bf16 else "native"
    return Compute(device="cpu", precision=precision, path=path)


def make_trainer(spec: RunSpec, compute: Compute) -> Trainer:
    """Return the moving parts of a run on the path that `compute` names, which is not `stacked`.

    Raises:
        native.Unavailable: it names the compiled routine, and there is none here.
    """
    assert compute.path != "stacked", "a stack is trained by train_together"
    bf16 = compute.precision == "bf16"
    if compute.path == "reference":
        return ReferenceTrainer(spec, bf16=bf16, device=compute.device)
    return CLOSED[compute.path](spec, bf16=bf16)


def _is_known(recipe: Recipe) -> bool:
    parts: tuple[Spec, ...] = (recipe, recipe.model, recipe.loss, recipe.optimizer)
    return all(set(part.model_dump(exclude_defaults=True)) <= KNOWN.get(type(part), frozenset()) for part in parts)


def _can_be_stacked(recipe: Recipe) -> bool:
    alone = ALONE & set(recipe.model_dump(exclude_defaults=True))
    return not alone and not isinstance(recipe.schedule, Plateau)
