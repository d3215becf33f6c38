"""Networks of the field in two dimensions, from MONAI: there without torchvision, and with any number of channels."""

from __future__ import annotations

import torch
from monai.networks.nets.densenet import DenseNet121
from monai.networks.nets.efficientnet import EfficientNetBN
from monai.networks.nets.resnet import ResNet, ResNetBlock, ResNetBottleneck
from monai.networks.nets.vit import ViT
from torch import nn


def resnet18(*, channels: int, outputs: int, image_size: int) -> nn.Module:
    """Return ResNet-18."""
    return _resnet(ResNetBlock, [2, 2, 2, 2], [64, 128, 256, 512], channels, outputs)


def resnet34(*, channels: int, outputs: int, image_size: int) -> nn.Module:
    """Return ResNet-34."""
    return _resnet(ResNetBlock, [3, 4, 6, 3], [64, 128, 256, 512], channels, outputs)


def resnet50(*, channels: int, outputs: int, image_size: int) -> nn.Module:
    """Return ResNet-50."""
    return _resnet(ResNetBottleneck, [3, 4, 6, 3], [64, 128, 256, 512], channels, outputs)


def _resnet(
    block: type[ResNetBlock | ResNetBottleneck], layers: list[int], planes: list[int], channels: int, outputs: int
) -> nn.Module:
    return ResNet(
        block=block,
        layers=layers,
        block_inplanes=planes,
        spatial_dims=2,
        n_input_channels=channels,
        num_classes=outputs,
        # the paper's; MONAI's own defaults are those of its networks for volumes
        conv1_t_stride=2,
        bias_downsample=False,
    )


def densenet121(*, channels: int, outputs: int, image_size: int, dropout: float) -> nn.Module:
    """Return DenseNet-121."""
    return DenseNet121(spatial_dims=2, in_channels=channels, out_channels=outputs, dropout_prob=dropout)


def efficientnet_b0(*, channels: int, outputs: int, image_size: int) -> nn.Module:
    """Return EfficientNet-B0."""
    return EfficientNetBN(
        "efficientnet-b0", pretrained=False, spatial_dims=2, in_channels=channels, num_classes=outputs
    )


def vit(
    *, channels: int, outputs: int, image_size: int, patch: int, width: int, depth: int, heads: int, dropout: float
) -> nn.Module:
    """Return a vision transformer.

    Raises:
        ValueError: patches do not fill the image.
    """
    if image_size % patch:
        raise ValueError(f"patches of {patch} pixels do not fill a side of {image_size}")
    vit = ViT(
        in_channels=channels,
        img_size=(image_size, image_size),
        patch_size=(patch, patch),
        hidden_size=width,
        mlp_dim=4 * width,
        num_layers=depth,
        num_heads=heads,
        classification=True,
        num_classes=outputs,
        dropout_rate=dropout,
        spatial_dims=2,
        qkv_bias=True,
        # MONAI would bound the logits by a tanh
        post_activation="",
    )
    return VisionTransformer(vit)


class VisionTransformer(nn.Module):
    """MONAI's, giving the logits alone."""

    def __init__(self, vit: ViT) -> None:
        super().__init__()
        self.vit = vit

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.vit(images)[0]
