"""Where a study comes from: a file, a built-in name, or a mapping; its paths mean the same from any folder."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doubleread.errors import UserError
from doubleread.files import user_path
from doubleread.study.parse import BUILT_IN, Study, built_in_raw, parse_study
from doubleread.study.yaml_file import read_mapping


def load_study(source: str | Path | Mapping[str, Any], *, overrides: Mapping[str, Any] | None = None) -> Study:
    """Return the study in a file, the built-in one of that name, or the one that a mapping says as a file would.

    Relative paths in a file are looked up beside it first, those in a mapping in the present folder. `overrides` maps
    dotted paths from the root of the file to values, as `--set` does.

    Raises:
        UserError: there is no such file or name, or something in it does not fit; the message says what.
    """
    if isinstance(source, Mapping):
        raw = copy.deepcopy(dict(source))
        _locate(raw, Path.cwd())
        return parse_study(raw, place="study", overrides=overrides)
    if str(source) in BUILT_IN:
        return parse_study(built_in_raw(str(source)), place=str(source), overrides=overrides)
    path = user_path(source, "STUDY")
    if not path.is_file():
        raise UserError(
            str(source), "no such study", f"expected a file, or one of {', '.join(BUILT_IN)}", "check the path"
        )
    raw = read_mapping(path)
    _locate(raw, path.parent)
    return parse_study(raw, place=path.name, path=str(path.resolve()), overrides=overrides)


def _locate(raw: dict[str, Any], folder: Path) -> None:
    _locate_source(raw, folder)
    _locate_weights(raw, folder)


def _locate_source(raw: dict[str, Any], folder: Path) -> None:
    """Make a relative path to the images absolute, so that the study means the same from any folder, also when the
    images are gone."""

    def located(source: Any) -> Any:
        if not isinstance(source, str) or source == "phantom":
            return source
        beside = user_path(folder / source, "data.source")
        return source if user_path(source, "data.source").exists() and not beside.exists() else str(beside.resolve())

    if isinstance(data := raw.get("data"), dict) and "source" in data:
        raw["data"] = {**data, "source": located(data["source"])}
    experiments = raw.get("experiments")
    for spec in experiments.values() if isinstance(experiments, dict) else ():
        factors = spec.get("factors") if isinstance(spec, dict) else None
        if isinstance(factors, dict) and isinstance(factors.get("data.source"), list):
            factors["data.source"] = [located(source) for source in factors["data.source"]]


def _locate_weights(raw: dict[str, Any], folder: Path) -> None:
    """Make a relative path to weights that a model starts from absolute, wherever a study names one."""

    def located(value: Any) -> Any:
        return str((folder / user_path(value, "model.init")).resolve()) if isinstance(value, str) else value

    def in_model(model: Any) -> Any:
        return {**model, "init": located(model["init"])} if isinstance(model, dict) and "init" in model else model

    def walk(node: dict[str, Any]) -> None:
        for key, value in node.items():
            several = isinstance(value, list)
            if key == "model":
                node[key] = [in_model(one) for one in value] if several else in_model(value)
            elif key == "model.init":
                node[key] = [located(one) for one in value] if several else located(value)

    experiments = raw.get("experiments")
    specs = [spec for spec in experiments.values() if isinstance(spec, dict)] if isinstance(experiments, dict) else []
    for node in (raw.get("base"), *(spec.get(part) for spec in specs for part in ("base", "factors"))):
        if isinstance(node, dict):
            walk(node)
