"""Networks as a user would write them, right ones and wrong ones."""

import torch
from torch import nn


class Tiny(nn.Module):
    """A network whose signature has only what it needs."""

    def __init__(self, outputs: int, width: int = 4) -> None:
        super().__init__()
        self.convolution = nn.LazyConv2d(width, 3) if width == 0 else nn.Conv2d(1, width, 3, stride=2)
        self.head = nn.Linear(width, outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.convolution(images)).mean((2, 3)))


class Everything(nn.Module):
    """A network that takes whatever it is given."""

    def __init__(self, **options: int) -> None:
        super().__init__()
        self.options = options
        self.layer = nn.Linear(options["channels"] * options["image_size"] ** 2, options["outputs"])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layer(images.flatten(1))


class Feature(nn.Module):
    """Gives a tuple, as some networks do."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(1, outputs)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, None]:
        return self.layer(images.mean((2, 3))), None


class Wide(nn.Module):
    """Gives one output too many."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(1, outputs + 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layer(images.mean((2, 3)))


class Deaf(nn.Module):
    """Does not ask how many outputs the loss needs."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()


def not_a_network(outputs: int) -> int:
    return outputs


NOTHING = 3
