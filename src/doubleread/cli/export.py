"""`export`: a trained model to take away."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from doubleread.api import find_study, open_results
from doubleread.cli.show import err, out, print_json
from doubleread.dataset import open_prepared
from doubleread.errors import UserError
from doubleread.files import check_target, user_path
from doubleread.model_file import Exported, check_suffix, export_model, write_model, write_onnx
from doubleread.nouns import INTENDED_USE
from doubleread.store import Store, open_store
from doubleread.study.threshold_spec import Threshold, ThresholdSpec

TRIED = 7
"""Validation images that an ONNX graph is tried on."""


def export_command(
    name: str,
    arm: str,
    seed: int | None,
    ensemble: bool,
    target: Path | None,
    onnx: Path | None,
    threshold: str | None,
    store: Path,
    as_json: bool,
) -> None:
    """Write the model, and where it is asked for the graph; say what it is."""
    if seed is not None and ensemble:
        raise UserError("--ensemble", "it has no effect beside --seed", "expected one of them", "delete one")
    rule = _rule(threshold)
    study = find_study(name, store)
    path = _new(target if target is not None else _default(study.name, arm), "--out")
    check_suffix(path, "--out")
    graph = None if onnx is None else _new(onnx, "--onnx")
    if graph == path:
        raise UserError("--onnx", f"{onnx} is where the model goes", "expected another file")
    result = open_results(study, store=store).result
    with open_store(store) as opened:
        found = export_model(result, opened, arm, seed=seed, ensemble=ensemble, threshold=rule)
        difference = _write_onnx(graph, found, opened) if graph is not None else None
    files = write_model(path, found.predictor.document, found.weights)
    document = found.predictor.document
    if as_json:
        print_json(
            {
                "model": str(path),
                "files": files,
                "study": document.study,
                "arm": document.arm,
                "kind": document.kind,
                "seeds": list(found.predictor.seeds),
                "onnx": None if onnx is None else {"file": str(onnx), "largest_difference": difference},
            }
        )
        return
    seeds = ", ".join(map(str, found.predictor.seeds))
    what = (
        f"seeds {seeds}, averaged" if document.kind == "ensemble" else f"seed {seeds}{found.why and f' ({found.why})'}"
    )
    out().print(f"wrote {path}: {document.study}, {document.arm}, {what}", soft_wrap=True)
    if difference is not None:
        text = f"wrote {onnx}: probabilities differ from PyTorch by at most {difference:.1g} at batches of 1, 2 and 7"
        out().print(text, soft_wrap=True)
    for remark in document.remarks:
        err().print(remark, soft_wrap=True)
    out().print(f"next: doubleread predict {shlex.quote(str(path))} IMAGE…\n{INTENDED_USE}", soft_wrap=True)


def _write_onnx(path: Path, found: Exported, store: Store) -> float:
    data = open_prepared(store.data_folder / found.predictor.document.data_hash)
    return write_onnx(path, found.predictor, np.array(data.images[data.rows("val")[:TRIED]]))


def _new(given: Path, option: str) -> Path:
    """Return a path where there is nothing yet, and where something can be written."""
    path = user_path(given, option)
    if path.exists():
        raise UserError(option, f"{path} exists", "expected a new file or folder", "give another path")
    check_target(path, option)
    return path


def _default(study: str, arm: str) -> Path:
    return Path(re.sub(r"[^A-Za-z0-9._-]+", "-", f"{study}-{arm}").strip("-.") or "model")


def _rule(text: str | None) -> ThresholdSpec | None:
    if text is None:
        return None
    try:
        value = float(text) if re.fullmatch(r"0?\.\d+", text) else text
        return TypeAdapter(Threshold).validate_python(value)
    except ValidationError as error:
        expected = "expected 0.5 or another probability, youden, sensitivity>=0.95 or specificity>=0.9"
        raise UserError("--threshold", f'got "{text}"', expected) from error
