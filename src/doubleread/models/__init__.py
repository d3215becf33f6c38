"""Architectures, one a file, and building the one that a recipe names.

A builder is called with keywords: `channels`, `image_size` (the side in pixels) and `outputs`, then the options of the
model's specification. What it returns takes images of shape (batch, channels, image_size, image_size), float32, and
gives logits of shape (batch, outputs).
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from doubleread.models.cnn import ResidualNetwork
from doubleread.models.mlp import MultilayerPerceptron, linear

BUILDERS: dict[str, Callable[..., nn.Module] | str] = {
    "mlp": MultilayerPerceptron,
    "linear": linear,
    "cnn": ResidualNetwork,
    # MONAI takes two seconds to import: only who trains one of these does
    "resnet18": "doubleread.models.monai_nets:resnet18",
    "resnet34": "doubleread.models.monai_nets:resnet34",
    "resnet50": "doubleread.models.monai_nets:resnet50",
    "densenet121": "doubleread.models.monai_nets:densenet121",
    "efficientnet_b0": "doubleread.models.monai_nets:efficientnet_b0",
    "vit": "doubleread.models.monai_nets:vit",
}
"""What builds each model, or where it is to be found when it is needed."""
OURS = frozenset({"mlp", "linear", "cnn"})
"""Models whose initial weights are drawn tensor by tensor, each from a stream of its own."""

__all__ = ["BUILDERS", "OURS", "MultilayerPerceptron", "NotBuilt", "ResidualNetwork", "build", "module_of", "source_of"]


class NotBuilt(Exception):
    """A model cannot be built as it is asked for; the text is the reason."""


def build(name: str, options: Mapping[str, Any], *, channels: int, image_size: int, outputs: int) -> nn.Module:
    """Return the network of that name, or the user's own at `module:attribute`, with the weights it starts with.

    Raises:
        NotBuilt: there is no such module or attribute, or it does not take these options or images.
    """
    shape = {"channels": channels, "image_size": image_size, "outputs": outputs}
    builder = _found(name)
    if name not in BUILDERS:
        shape = _asked_for(builder, name, shape)
        if twice := sorted(set(shape) & set(options)):
            raise NotBuilt(f"{twice[0]} comes from the images and the loss; delete it from the options")
    try:
        model = builder(**shape, **options)
    except Exception as error:
        raise NotBuilt(f"{type(error).__name__}: {error}") from error
    if not isinstance(model, nn.Module):
        raise NotBuilt(f"{name} gives a {type(model).__name__}, not a torch.nn.Module")
    return model


def module_of(name: str) -> str | None:
    """Return the module that has to be imported for a model, None where it is imported already."""
    reference = BUILDERS.get(name, name)
    return reference.partition(":")[0] if isinstance(reference, str) else None


def source_of(name: str) -> Path | None:
    """Return the file that a model of the user's own is written in; None for the product's own, which has none of
    these.

    Raises:
        NotBuilt: there is no such module, or it is no file of Python.
    """
    if name in BUILDERS:
        return None
    module, _, attribute = name.partition(":")
    if module.endswith(".py"):
        raise NotBuilt(f"{name} names a file; write {module.removesuffix('.py')}:{attribute}")
    _look_here()
    try:
        found = importlib.util.find_spec(module)
    except Exception as error:
        # a package is imported to look into it, and may raise anything
        raise NotBuilt(f"no module {module} ({error})") from error
    if found is None or found.origin is None or not found.origin.endswith(".py"):
        raise NotBuilt(f"no module {module}; it is looked for among what is installed, and in the present folder")
    return Path(found.origin)


def _found(name: str) -> Callable[..., nn.Module]:
    reference = BUILDERS.get(name, name)
    if not isinstance(reference, str):
        return reference
    module, _, attribute = reference.partition(":")
    if name not in BUILDERS:
        source_of(name)
    try:
        return getattr(importlib.import_module(module), attribute)
    except AttributeError as error:
        raise NotBuilt(f"{module} has no {attribute}") from error
    except Exception as error:
        raise NotBuilt(f"{module} cannot be imported ({type(error).__name__}: {error})") from error


def _asked_for(builder: Callable[..., nn.Module], name: str, shape: Mapping[str, int]) -> dict[str, int]:
    """Return what of the images' shape a builder of the user's own has in its signature."""
    if not callable(builder):
        raise NotBuilt(f"{name} is no class and no function")
    parameters = inspect.signature(builder).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return dict(shape)
    named = {parameter.name for parameter in parameters}
    if "outputs" not in named:
        raise NotBuilt(f"{name} takes no `outputs`; it must, since the loss decides how many there are")
    return {key: value for key, value in shape.items() if key in named}


def _look_here() -> None:
    """Let modules in the present folder be found, as `python -m` lets them."""
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
