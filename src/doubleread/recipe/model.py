"""Which models there are, and their options."""

from __future__ import annotations

import keyword
import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from doubleread.recipe.spec import ByName, Fraction, Spec, Text, WholeFromOne, expecting, unmet

OWN = "my_package.nets:Net"
"""How a model of the user's own is named: a module, a colon, what builds the network."""
REFERENCE_TO = re.compile(r"[\w.]+:\w+")

InitFile = Text | None
"""A safetensors file whose tensors the model starts from, wherever a name and a shape are the same."""


class Mlp(Spec):
    """A multilayer perceptron on the flattened pixels: linear layers with ReLU between them. The only model with fast
    paths of its own.
    """

    name: Literal["mlp"]
    hidden: tuple[WholeFromOne, ...]
    """Widths of the hidden layers, first to last."""
    dropout: Fraction = 0.0
    """The probability that a hidden unit is set to zero in training, after each hidden ReLU (Srivastava et al. 2014).
    """
    init: InitFile = None

    @model_validator(mode="after")
    def _dropout_needs_a_layer(self) -> Mlp:
        if self.dropout and not self.hidden:
            raise unmet("no dropout, which has no effect without a hidden layer")
        return self


class Linear(Spec):
    """Logistic regression on the pixels: one linear layer and nothing else. The baseline of all others."""

    name: Literal["linear"]
    init: InitFile = None
    hidden: ClassVar[tuple[int, ...]] = ()
    dropout: ClassVar[float] = 0.0


class Cnn(Spec):
    """A small residual network for grey medical images (see `models.cnn`)."""

    name: Literal["cnn"]
    widths: Annotated[tuple[WholeFromOne, ...], Field(min_length=1, max_length=6)] = (32, 64, 128, 256)
    """Channels of its stages; the first layer and every stage halve the sides of the image."""
    blocks: Annotated[tuple[WholeFromOne, ...], Field(min_length=1, max_length=6)] = (1, 2, 2, 2)
    """Residual blocks of each stage, as many numbers as `widths` has."""
    dropout: Fraction = 0.0
    """The probability of dropout before the last layer."""
    init: InitFile = None

    @model_validator(mode="after")
    def _blocks_for_each_stage(self) -> Cnn:
        if len(self.widths) != len(self.blocks):
            raise unmet(f"as many blocks as widths, not {len(self.blocks)} and {len(self.widths)}")
        return self


class ResNet18(Spec):
    """ResNet-18 (He et al. 2016), MONAI's in two dimensions, with its first layer of stride 2."""

    name: Literal["resnet18"]
    init: InitFile = None


class ResNet34(Spec):
    """ResNet-34, as `resnet18`."""

    name: Literal["resnet34"]
    init: InitFile = None


class ResNet50(Spec):
    """ResNet-50, as `resnet18`."""

    name: Literal["resnet50"]
    init: InitFile = None


class DenseNet121(Spec):
    """DenseNet-121 (Huang et al. 2017), MONAI's in two dimensions."""

    name: Literal["densenet121"]
    dropout: Fraction = 0.0
    """The probability of dropout in each of its dense layers."""
    init: InitFile = None


class EfficientNetB0(Spec):
    """EfficientNet-B0 (Tan & Le 2019), MONAI's in two dimensions, with its paper's dropout and dropped paths."""

    name: Literal["efficientnet_b0"]
    init: InitFile = None


class Vit(Spec):
    """A vision transformer (Dosovitskiy et al. 2021), MONAI's; by default with the sizes of ViT-Tiny (Touvron 2021)."""

    name: Literal["vit"]
    patch: WholeFromOne = 16
    """The side of a patch in pixels, of which a whole number must fill the image."""
    width: WholeFromOne = 192
    """The length of a patch's vector, shared by the heads: a multiple of `heads`."""
    depth: WholeFromOne = 12
    """Layers."""
    heads: WholeFromOne = 3
    """Attention heads in each layer."""
    dropout: Fraction = 0.0
    """The probability of dropout in every layer."""
    init: InitFile = None

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Vit:
        if self.width % self.heads:
            raise unmet(f"heads that share the width: {self.width} is no multiple of {self.heads}")
        return self


def _importable(name: str) -> str:
    module, _, attribute = name.partition(":")
    parts = [*module.split("."), attribute]
    if not REFERENCE_TO.fullmatch(name) or not all(
        part.isidentifier() and not keyword.iskeyword(part) for part in parts
    ):
        raise ValueError("no reference")
    return name


class OwnModel(Spec):
    """The user's own network: any key but `name` and `init` is handed to it as it stands.

    It is called with `outputs` and, where its signature has them, `channels` and `image_size`; it takes images of shape
    (batch, channels, height, width) and gives logits of shape (batch, outputs).
    """

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, AfterValidator(_importable), expecting(f"a module, a colon and a name, such as {OWN}")]
    """The module, a colon, and the class or function that builds the network."""
    init: InitFile = None

    @property
    def options(self) -> dict[str, Any]:
        """What is handed to the network."""
        return dict(self.model_extra or {})


def _kind_of_model(value: Any) -> str | None:
    name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
    if not isinstance(name, str):
        return None
    return OWN if ":" in name else name


MODELS: dict[str, type[Spec]] = {
    "mlp": Mlp,
    "linear": Linear,
    "cnn": Cnn,
    "resnet18": ResNet18,
    "resnet34": ResNet34,
    "resnet50": ResNet50,
    "densenet121": DenseNet121,
    "efficientnet_b0": EfficientNetB0,
    "vit": Vit,
}
ModelSpec = Annotated[
    Annotated[
        Annotated[Mlp, Tag("mlp")]
        | Annotated[Linear, Tag("linear")]
        | Annotated[Cnn, Tag("cnn")]
        | Annotated[ResNet18, Tag("resnet18")]
        | Annotated[ResNet34, Tag("resnet34")]
        | Annotated[ResNet50, Tag("resnet50")]
        | Annotated[DenseNet121, Tag("densenet121")]
        | Annotated[EfficientNetB0, Tag("efficientnet_b0")]
        | Annotated[Vit, Tag("vit")]
        | Annotated[OwnModel, Tag(OWN)],
        Discriminator(_kind_of_model),
    ],
    ByName,
]
