"""A model as one ONNX graph that takes prepared pixels: scaling, every seed, threshold and calibration inside it."""

# N images, R seeds, C classes

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from doubleread.errors import UserError, WorkFailed
from doubleread.files import write_bytes
from doubleread.model_file.predictor import Predictor
from doubleread.nouns import DEEP_STEPS
from doubleread.training.losses import logits_of
from doubleread.training.pixels import Scaling

try:
    import onnxruntime
    import onnxscript
except ModuleNotFoundError:
    onnxruntime = onnxscript = None

BATCHES = (1, 2, 7)
"""Numbers of images at which a graph must agree with PyTorch."""
CLOSE = 1e-4
"""How far a probability may be from PyTorch's: products are summed in another order."""
OUTPUTS = ("probability", "calibrated", "called")


class Graph(nn.Module):
    """Prepared pixels, (N, size, size[, 3]) of 0 to 255 or 65535 as they are stored, to what the model says of them.

    Returns the mean probability over the seeds, (N, C), the calibrated one (the same where none was fitted), and the
    class that is called, (N,) int64.
    """

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.members = nn.ModuleList(predictor.models)
        self._scalings, self._flips = predictor.scalings, predictor.recipe.test_time == "flip"
        document = predictor.document
        self._deep, self._colour = document.preprocessing.bits == 16, document.preprocessing.channels == 3
        self._cut = document.threshold.logit if document.threshold is not None else None
        self._temperature = document.calibration.temperature if document.calibration is not None else 1.0
        self._two = len(predictor.classes) == 2

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """See the class."""
        floats = pixels.float()
        if self._deep:
            floats = floats / DEEP_STEPS
        images = floats.movedim(3, 1) if self._colour else floats.unsqueeze(1)
        logs = torch.stack(
            [self._member(model, images, one) for model, one in zip(self.members, self._scalings, strict=True)]
        )
        # the log of the mean probability: no seed outvotes the others by being sure of itself
        joined = torch.logsumexp(logs, 0) - float(np.log(len(self._scalings)))
        if not self._two:
            return joined.exp(), joined.exp(), joined.argmax(1)
        logit = joined[:, 1] - joined[:, 0]
        cut = self._cut if self._cut is not None else 0.0
        return joined.exp(), _both(logit / self._temperature), (logit > cut).long()

    def _member(self, model: nn.Module, images: torch.Tensor, scaling: Scaling) -> torch.Tensor:
        """Return one seed's log probabilities, (N, C)."""
        if scaling.each:
            whole = (1, 2, 3)
            less = images - images.mean(dim=whole, keepdim=True)
            seen = less / less.square().mean(dim=whole, keepdim=True).sqrt().clamp_min(1.0)
        else:
            seen = (images - scaling.shift) * scaling.factor
        outputs = model(seen)
        if self._flips:
            outputs = (outputs + model(seen.flip(3))) / 2
        logits = logits_of(outputs)
        if self._two:
            return torch.nn.functional.logsigmoid(torch.stack([-logits, logits], 1))
        return torch.log_softmax(logits, 1)


def _both(logit: torch.Tensor) -> torch.Tensor:
    return torch.sigmoid(torch.stack([-logit, logit], 1))


def write_onnx(path: Path, predictor: Predictor, images: np.ndarray) -> float:
    """Write the model as an ONNX file, once it has agreed with PyTorch on prepared `images`; return the largest
    difference of a probability.

    Raises:
        UserError: onnx, onnxscript or onnxruntime is missing, or there is a file at `path`.
        WorkFailed: the graph cannot be made, or says something else than PyTorch at a batch of 1, 2 or 7.
    """
    if onnxruntime is None or onnxscript is None:
        raise UserError(
            "--onnx", "onnx, onnxscript or onnxruntime is not installed", "", "pip install 'doubleread[export]'"
        )
    if path.exists():
        raise UserError(str(path), "it exists", "expected a new file", "give another path")
    graph = Graph(predictor).eval()
    # two at least: a batch of one would be taken for the only one
    content = _graph_bytes(graph, np.resize(images, (2, *images.shape[1:])))
    difference = _check(content, predictor, images)
    write_bytes(path, content)
    return difference


def _graph_bytes(graph: Graph, images: np.ndarray) -> bytes:
    content = io.BytesIO()
    with _quiet():
        program = _exported(graph, images)
        program.save(content)  # pyright: ignore[reportArgumentType] it takes a file, too
    return content.getvalue()


def _exported(graph: Graph, images: np.ndarray) -> torch.onnx.ONNXProgram:
    try:
        program = torch.onnx.export(
            graph,
            (torch.from_numpy(np.ascontiguousarray(images)),),
            dynamo=True,
            verbose=False,
            input_names=["pixels"],
            output_names=list(OUTPUTS),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
    except Exception as error:
        # the exporter raises what the operators of a network make it raise
        why = f"{type(error).__name__}: {_first(error)}"
        raise WorkFailed(f"no ONNX graph can be made of this model ({why})") from error
    assert program is not None, "it is not saved to a file"
    return program


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what the exporter says of packages that no model here needs, and of its own ways."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _check(content: bytes, predictor: Predictor, images: np.ndarray) -> float:
    """Return the largest difference of a probability between the graph and PyTorch.

    Raises:
        WorkFailed: it is too large, or a class differs that is not at the threshold.
    """
    assert onnxruntime is not None, "it is there"
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    largest = 0.0
    for batch in BATCHES:
        part = np.ascontiguousarray(np.resize(images, (batch, *images.shape[1:])))
        ours = predictor.predictions(part)
        calibrated = ours.mean_NC if ours.calibrated_NC is None else ours.calibrated_NC
        probability, calibrated_too, called = session.run(None, {"pixels": part})
        apart = max(float(np.abs(probability - ours.mean_NC).max()), float(np.abs(calibrated_too - calibrated).max()))
        differs_N = (np.asarray(called) != ours.called_N) & ~_near_the_edge(predictor, ours.mean_NC)
        if not apart <= CLOSE or differs_N.any():
            raise WorkFailed(
                f"the ONNX graph disagrees with PyTorch at a batch of {batch}: probabilities differ by {apart:.2g},"
                f" at most {CLOSE:g} is allowed; nothing was written"
            )
        largest = max(largest, apart)
    return largest


def _near_the_edge(predictor: Predictor, chances_NC: np.ndarray) -> np.ndarray:
    """Tell of each image whether the last bits of its probabilities may decide its class."""
    if (cut := predictor.document.threshold) is not None:
        return np.abs(chances_NC[:, 1] - cut.probability) < CLOSE
    second, first = np.sort(chances_NC, axis=1)[:, -2:].T
    return first - second < CLOSE


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
