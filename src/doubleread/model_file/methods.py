"""The ways to map what in an image moved a model, by name, without the libraries that they need."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal, get_args

Method = Literal["integrated-gradients", "grad-cam", "occlusion"]
METHODS: tuple[Method, ...] = get_args(Method)


def can_explain() -> bool:
    """Tell whether captum is there."""
    return find_spec("captum") is not None
