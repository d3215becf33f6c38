"""A perceptron by the compiled routine: a stretch of steps is one call."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from doubleread.nouns import RunData
from doubleread.recipe import AdamW, Recipe, Sgd
from doubleread.training.evaluation import EVALUATION_BATCH
from doubleread.training.losses import class_weights
from doubleread.training.model import build_model, draw_masks, perceptron_of
from doubleread.training.native import ADAM, ADAMW, BLOCK, SGD, Network, Unavailable, Update, aligned, native
from doubleread.training.pixels import scaling_of
from doubleread.training.records import RunSpec
from doubleread.training.schedules import Rate
from doubleread.training.steps import Stretch, put_back
from doubleread.training.updates import coefficients


class NativePerceptron:
    """See `Trainer`; without gradients in memory, and with nothing between two steps."""

    def __init__(self, spec: RunSpec, bf16: bool) -> None:
        recipe, data = spec.recipe, spec.data
        self._native = native()
        if bf16 and not self._native.has_bf16:
            raise Unavailable("the processor does not multiply bfloat16")
        self._recipe = recipe
        model = build_model(recipe, spec.seed, data)
        linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
        self._names = list(model.state_dict())
        self._shapes = [module.weight.shape for module in linear]
        self._hidden = [shape[0] for shape in self._shapes[:-1]]
        self._steps = np.zeros((), dtype=np.int64)
        self._lay_out(recipe, data)
        self._put([tensor.detach().numpy() for tensor in model.state_dict().values()])
        self._network = self._described(spec, bf16)

    def train(self, rows: torch.Tensor, rates: Sequence[Rate], changes: None = None) -> Stretch:
        """See `Trainer`."""
        rows = rows.contiguous()
        updates = (Update * len(rates))(*(self._update(rate) for rate in rates))
        losses, logits = np.full(len(rates), np.nan), np.zeros(len(rows), dtype=np.float32)
        drawn = self._masks(rows)
        done = self._native.train(
            ctypes.addressof(self._network),
            rows.data_ptr(),
            len(rows),
            self._recipe.batch_size,
            ctypes.addressof(updates),
            None if drawn is None else drawn.data_ptr(),
            losses.ctypes.data,
            logits.ctypes.data,
        )
        return Stretch(losses[: done + 1], logits)

    def evaluate(self, rows: np.ndarray) -> np.ndarray:
        """See `Trainer`."""
        rows = np.ascontiguousarray(rows, dtype=np.int64)
        logits = np.empty(len(rows), dtype=np.float32)
        self._native.evaluate(
            ctypes.addressof(self._network), rows.ctypes.data, len(rows), self._largest, logits.ctypes.data
        )
        return logits

    def weights(self) -> dict[str, torch.Tensor]:
        """See `Trainer`."""
        units, pixels = self._shapes[0]
        by_unit = self._first[:, :pixels].transpose(0, 2, 1).reshape(-1, pixels)[:units]
        tensors = [by_unit, self._rest[:units]]
        for (out, width), (weight, bias) in zip(self._shapes[1:], self._later(), strict=True):
            tensors += [weight[:width, :out].T, bias[:out]]
        copies = [torch.from_numpy(np.array(tensor, order="C")) for tensor in tensors]
        return dict(zip(self._names, copies, strict=True))

    def state(self) -> dict[str, torch.Tensor]:
        """See `Trainer`."""
        moving = {"first": self._first, "rest": self._rest, "steps": self._steps}
        moving |= {f"first.{number}": moment for number, moment in enumerate(self._first_moments)}
        moving |= {f"rest.{number}": moment for number, moment in enumerate(self._rest_moments)}
        return {name: torch.from_numpy(array) for name, array in moving.items()}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """See `Trainer`."""
        put_back(self.state(), state)

    def _masks(self, rows: torch.Tensor) -> torch.Tensor | None:
        """Return the dropout masks of a stretch, [batch][layer][case][width] one after the other."""
        dropout = perceptron_of(self._recipe).dropout
        if not dropout:
            return None
        drawn = [draw_masks(self._hidden, len(batch), dropout) for batch in rows.split(self._recipe.batch_size)]
        return torch.cat([mask.reshape(-1) for of_batch in drawn for mask in of_batch])

    def _lay_out(self, recipe: Recipe, data: RunData) -> None:
        lanes = self._native.lanes
        units, pixels = self._shapes[0]
        self._vectors = self._native.vectors_for(units)
        width = self._vectors * lanes
        chunks, padded = -(-units // width), -(-pixels // BLOCK) * BLOCK
        self._widths = np.array([shape[0] for shape in self._shapes], dtype=np.int64)
        self._pads = np.array([chunks * width, *(-(-w // lanes) * lanes for w in self._widths[1:])], dtype=np.int64)
        size = int(self._pads[0] + ((self._widths[:-1] + 1) * self._pads[1:]).sum())
        moments = 1 if isinstance(recipe.optimizer, Sgd) else 2
        self._largest = min(max(recipe.batch_size, EVALUATION_BATCH), max(len(data.images), 1))
        self._first, *self._first_moments = (aligned((chunks, padded, width)) for _ in range(1 + moments))
        self._rest, self._gradients, *self._rest_moments = (aligned((size,)) for _ in range(2 + moments))
        bytes_needed = self._native.scratch_bytes(self._pads.ctypes.data, len(self._widths), self._largest)
        self._scratch = aligned((bytes_needed,), np.uint8)
        self._batches = [aligned((padded * self._largest,), np.uint8) for _ in range(2)]

    def _later(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the weights [in][pad] and bias [pad] of each layer after the first, as views."""
        found, at = [], int(self._pads[0])
        for rows, pad in zip(self._widths[:-1].tolist(), self._pads[1:].tolist(), strict=True):
            weight = self._rest[at : at + rows * pad].reshape(rows, pad)
            at += rows * pad
            found.append((weight, self._rest[at : at + pad]))
            at += pad
        return found

    def _put(self, tensors: Sequence[np.ndarray]) -> None:
        units, pixels = self._shapes[0]
        chunks, _, width = self._first.shape
        for chunk in range(chunks):
            part = tensors[0][chunk * width : (chunk + 1) * width]
            self._first[chunk, :pixels, : len(part)] = part.T
        self._rest[:units] = tensors[1]
        for (weight, bias), w, b in zip(self._later(), tensors[2::2], tensors[3::2], strict=True):
            weight[:, : w.shape[0]], bias[: len(b)] = w.T, b

    def _described(self, spec: RunSpec, bf16: bool) -> Network:
        data = spec.data
        scaling, weights = scaling_of(spec.intensity, data), class_weights(spec.recipe.loss, data.labels[data.train])
        self._kept = np.ascontiguousarray(data.images), np.ascontiguousarray(data.labels, dtype=np.int64)
        arrays = {
            **dict(zip(("images", "labels"), self._kept, strict=True)),
            "widths": self._widths,
            "pads": self._pads,
            "gradients": self._gradients,
            "scratch": self._scratch,
            "first": self._first,
            "first_m": self._first_moments[0],
            "first_v": self._first_moments[-1],
            "rest": self._rest,
            "rest_m": self._rest_moments[0],
            "rest_v": self._rest_moments[-1],
            "seen": self._batches[0],
            "next": self._batches[1],
        }
        return Network(
            **{name: array.ctypes.data for name, array in arrays.items()},
            pixels=self._shapes[0][1],
            rest_size=len(self._rest),
            layers=len(self._shapes),
            nv=self._vectors,
            bf16=int(bf16),
            weighted=int(weights is not None),
            shift=scaling.shift,
            factor=scaling.factor,
            class_weights=(ctypes.c_float * 2)(*([1.0, 1.0] if weights is None else weights.tolist())),
        )

    def _update(self, rate: Rate) -> Update:
        spec = self._recipe.optimizer
        self._steps += 1
        return Update(
            SGD if isinstance(spec, Sgd) else ADAMW if isinstance(spec, AdamW) else ADAM,
            int(isinstance(spec, Sgd) and spec.nesterov),
            *coefficients(spec, rate, int(self._steps)),
        )
