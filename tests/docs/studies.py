"""Checks what a page shows of a study file with the program's own readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

from ruamel.yaml import YAML, YAMLError

from doubleread.errors import UserError
from doubleread.study import ENGINES, engine_of, load_claims, parse_study
from tests.conftest import small_study
from tests.docs.pages import Block

SITE = "DOUBLEREAD_SITE"


def is_study(block: Block) -> bool:
    """Return whether a block is a whole study file."""
    return (
        block.language == "yaml"
        and not block.asked.keys() & {"part of", "edit", "site file", "claims file"}
        and block.text.startswith("study:")
    )


def wrong_in_yaml(block: Block, study: str | None, folder: Path) -> str | None:
    """Return what is wrong with a block, as the program says it; `study` is the last whole one on its page.

    A part of a study file is put into that study, or else into a small one. Files are written into `folder`.
    """
    try:
        if "site file" in block.asked:
            _read_site(block.text, folder / "site.yaml")
        elif "claims file" in block.asked:
            _read_claims(block.text, folder / "claims.yaml")
        elif is_study(block):
            parse_study(plain(block.text), place="the study")
        elif below := block.asked.get("part of") or ("study" if "edit" in block.asked else ""):
            part = plain(block.text)
            whole = plain(study) if study is not None else small_study("phantom")
            parse_study(merged(whole, part if below == "study" else {below: part}), place="the study")
        elif "file" in block.asked:
            plain(block.text)
        else:
            return "say what it is: part of, edit, file, site file or claims file; or begin with study:"
    except (UserError, YAMLError) as error:
        return str(error)
    return None


def plain(text: str) -> dict[str, Any]:
    """Return a YAML mapping as plain values."""
    return YAML(typ="safe", pure=True).load(text)


def merged(whole: Any, part: Any) -> Any:
    """Return `whole`, changed: its mappings have the keys of those of `part` too, everything else is replaced."""
    for key, value in part.items():
        both = isinstance(value, dict) and isinstance(whole.get(key), dict)
        whole[key] = merged(whole[key], value) if both else value
    return whole


def edit(path: Path, part: str) -> None:
    """Merge a part into a study file, whose comments and order stay."""
    yaml = YAML()
    whole = merged(yaml.load(path.read_text(encoding="utf-8")), yaml.load(part))
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(whole, file)


def _read_site(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")
    with patch.dict("os.environ", {SITE: str(path)}):
        for name in ENGINES:
            engine_of(None, name, "the site file")


def _read_claims(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")
    claims = plain(text)["claims"]
    sides = [side for claim in claims for key in ("better", "than", "lower", "higher", "arm", "same")
             for side in _names(claim.get(key))]  # fmt: skip
    load_claims(path, sides)


def _names(side: Any) -> list[str]:
    return [str(one) for one in (side if isinstance(side, list) else [side]) if one is not None]
