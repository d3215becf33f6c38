"""The model of a run: built, started, and how large it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from doubleread.errors import UserError
from doubleread.files import MOST_BYTES, canonical_json, describe, read_bytes
from doubleread.models import OURS, NotBuilt, build, source_of
from doubleread.nouns import RunData
from doubleread.recipe import Linear, Mlp, ModelSpec, OwnModel, Recipe
from doubleread.training.losses import outputs_of
from doubleread.training.randomness import drawing_weights, initialise


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """What of an `init` file a model starts from: the names of its tensors that were loaded, and of those left as
    drawn.

    `unused` are names of the file that the model has no tensor for, or one of another shape.
    """

    loaded: tuple[str, ...]
    left: tuple[str, ...]
    unused: tuple[str, ...]

    def in_words(self) -> str:
        """Return how much was loaded, and which layers were not."""
        text = f"init: {len(self.loaded)} of {len(self.loaded) + len(self.left)} tensors start from the file"
        if self.left:
            text += f"; as drawn: {', '.join(self.left)}"
        return text + (f"; in the file, not in the model: {', '.join(self.unused)}" if self.unused else "")


def build_model(recipe: Recipe, seed: int, data: RunData) -> nn.Module:
    """Return the recipe's model for images of this size and number of classes, with the initial weights of `seed`.

    Raises:
        UserError: the model cannot be built, or its `init` file cannot be read or fits nowhere.
    """
    model = _drawn(recipe.model, seed, data.shape, outputs_of(recipe.loss, data.classes))
    if recipe.model.init is not None:
        load_start(model, recipe.model.init)
    return model


def shapes_of(recipe: Recipe, data: RunData) -> dict[str, tuple[int, ...]] | None:
    """Return the shape of each tensor of a recipe's model, without any memory for them; None for a user's own network,
    which may allocate what it likes.
    """
    if isinstance(recipe.model, OwnModel):
        return None
    with torch.device("meta"):
        model = _built(recipe.model, 0, data.shape, outputs_of(recipe.loss, data.classes))
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def load_start(model: nn.Module, path: str) -> Start:
    """Let a model start from a safetensors file, wherever a name and a shape are the same; return what did.

    Raises:
        UserError: the file cannot be read, or nothing in it fits.
    """
    given = _tensors(path)
    mine = model.state_dict()
    fits = {name: tensor for name, tensor in given.items() if name in mine and mine[name].shape == tensor.shape}
    if not fits:
        raise UserError(
            f"model.init {Path(path).name}",
            f"none of its {len(given)} tensors has the name and shape of one of the model's",
            f"expected names such as {next(iter(mine))}",
            "start from weights of the same architecture",
        )
    model.load_state_dict(fits, strict=False)
    return Start(
        loaded=tuple(fits),
        left=tuple(name for name in mine if name not in fits),
        unused=tuple(name for name in given if name not in fits),
    )


def without_init(recipe: Recipe) -> Recipe:
    """Return a recipe whose model starts as it is drawn."""
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"init": None})})


def contents_of(recipe: Recipe) -> dict[str, str]:
    """Return the SHA-256 of each file that a recipe's model comes from: see `study.plan.identity_of`.

    Raises:
        UserError: one of them is not there.
    """
    found = {}
    try:
        source = source_of(recipe.model.name)
    except NotBuilt as error:
        raise UserError(f"model {recipe.model.name}", str(error)) from error
    if source is not None:
        found["source"] = describe(source)["sha256"]
    if recipe.model.init is not None:
        _tensors(recipe.model.init)
        found["init"] = describe(Path(recipe.model.init))["sha256"]
    return found


def start_of(recipe: Recipe, data: RunData) -> Start | None:
    """Return what of its `init` file a recipe's model starts from; None where it has no such file."""
    if recipe.model.init is None:
        return None
    return load_start(_drawn(recipe.model, 0, data.shape, outputs_of(recipe.loss, data.classes)), recipe.model.init)


def try_model(recipe: Recipe, data: RunData) -> None:
    """Build a recipe's model and show it images as training will.

    Raises:
        UserError: it cannot be built, or does not take them.
    """
    outputs = outputs_of(recipe.loss, data.classes)
    model = build_model(recipe, 0, data)
    cases = len(data.train)
    # what is computed at once: the smallest part of a whole batch and of the last one
    whole, last = min(recipe.batch_size, cases), cases % recipe.batch_size or recipe.batch_size
    smallest = min(len(part) for size in (whole, last) for part in torch.arange(size).chunk(recipe.accumulate))
    for batch in {2, min(smallest, 2)}:
        try:
            with torch.no_grad():
                found = model.train()(torch.zeros(batch, *data.shape))
        except Exception as error:
            raise UserError(
                f"model {recipe.model.name}",
                f"it fails on a batch of {batch} images of shape {data.shape} ({type(error).__name__}: {error})",
                "",
                "choose another batch_size or accumulate: one case would be computed alone"
                if batch == 1
                else "try another image_size, or mend the model",
            ) from error
        _check_outputs(recipe, found, (batch, outputs))


def _check_outputs(recipe: Recipe, found: object, expected: tuple[int, int]) -> None:
    if isinstance(found, torch.Tensor) and tuple(found.shape) == expected:
        return
    got = f"shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else f"a {type(found).__name__}"
    raise UserError(f"model {recipe.model.name}", f"it gives {got}", f"expected logits of shape {expected}")


def _drawn(spec: ModelSpec, seed: int, shape: tuple[int, int, int], outputs: int) -> nn.Module:
    model = _built(spec, seed, shape, outputs)
    if spec.name in OURS:
        initialise(model, seed)
    elif outputs != 1:
        # networks draw in an order of their own, in which the number of outputs moves all that comes later: where
        # shapes are equal, the numbers of one with one output are taken, so that two losses start from the same
        mine, other = model.state_dict(), _built(spec, seed, shape, 1).state_dict()
        fits = {name: tensor for name, tensor in other.items() if name in mine and mine[name].shape == tensor.shape}
        model.load_state_dict(fits, strict=False)
    return model


def _built(spec: ModelSpec, seed: int, shape: tuple[int, int, int], outputs: int) -> nn.Module:
    options = spec.options if isinstance(spec, OwnModel) else spec.model_dump(exclude={"name", "init"})
    try:
        with drawing_weights(seed):
            return build(spec.name, options, channels=shape[0], image_size=shape[1], outputs=outputs)
    except NotBuilt as error:
        raise UserError(f"model {spec.name}", str(error)) from error


def _tensors(path: str) -> Mapping[str, torch.Tensor]:
    place = f"model.init {Path(path).name}"
    try:
        return load(read_bytes(Path(path), MOST_BYTES))
    except OSError as error:
        raise UserError(place, f"it cannot be read ({error.strerror})", "", "check the path") from error
    except SafetensorError as error:
        raise UserError(place, f"it is no safetensors file ({error})", "expected weights as safetensors") from error


@dataclass(frozen=True, slots=True)
class Size:
    """How large a model is: numbers that it learns or keeps, and multiplications of one image's forward pass.

    `activations` counts the numbers that its layers give for one image.
    """

    parameters: int
    products: int
    activations: int


def size_of(recipe: Recipe, shape: tuple[int, int, int], classes: int = 2) -> Size:
    """Return the size of a recipe's model on images of shape (channels, height, width)."""
    key = (
        recipe.model.name,
        canonical_json(recipe.model.model_dump(mode="json")),
        shape,
        outputs_of(recipe.loss, classes),
    )
    if key not in _sizes:
        _sizes[key] = _measured(recipe.model, shape, key[-1])
    return _sizes[key]


_sizes: dict[tuple[str, str, tuple[int, int, int], int], Size] = {}
"""What has been measured in this process: of a large model it takes a while."""


def _measured(spec: ModelSpec, shape: tuple[int, int, int], outputs: int) -> Size:
    model, counted = _drawn(spec, 0, shape, outputs).eval(), [0, 0]

    def count(module: nn.Module, _inputs: object, output: object) -> None:
        if not isinstance(output, torch.Tensor) or any(True for _ in module.children()):
            return
        counted[1] += output.numel()
        weight = getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor) and weight.ndim > 1:
            # each number that a linear layer or a convolution gives is a product with one row of its weights
            counted[0] += output.numel() * weight[0].numel()

    for module in model.modules():
        module.register_forward_hook(count)
    with torch.no_grad():
        # two: a network may fail on one image, and is never shown one alone
        model(torch.zeros(2, *shape))
    kept = sum(tensor.numel() for tensor in model.state_dict().values())
    return Size(kept, counted[0] // 2, counted[1] // 2)


def perceptron_of(recipe: Recipe) -> Mlp | Linear:
    """Return the model of a recipe whose path is for perceptrons alone."""
    assert isinstance(recipe.model, Mlp | Linear), "the closed form is a perceptron's"
    return recipe.model


def draw_masks(widths: Sequence[int], n: int, dropout: float) -> list[torch.Tensor]:
    """Return the dropout masks of one batch, (n, width) for each hidden layer; none without dropout.

    The same numbers in the same order as `nn.Dropout` draws them in a forward pass.
    """
    if not dropout:
        return []
    return [torch.empty(n, width).bernoulli_(1 - dropout).div_(1 - dropout) for width in widths]
