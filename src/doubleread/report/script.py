"""The page's scripts and what they read: the chart library and the numbers, packed; the policy lets just these run."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

OWN = ("charts.js", "report.js")
LIBRARY = Path("package_data", "plotly.min.js")


@cache
def chart_library() -> str:
    """Return the script of the chart library, plotly's, as its package ships it."""
    # found, not imported: of the package we want this one file
    spec = find_spec("plotly")
    assert spec is not None, "plotly is a dependency"
    assert spec.submodule_search_locations is not None, "plotly is a package"
    return Path(next(iter(spec.submodule_search_locations)), LIBRARY).read_text(encoding="utf-8")


@cache
def own_script() -> str:
    """Return the page's own script."""
    return "\n".join(template_text(name) for name in OWN)


def template_text(name: str) -> str:
    """Return a file beside the templates."""
    return (files("doubleread.report") / "templates" / name).read_text(encoding="utf-8")


def packed(text: str) -> str:
    """Return a text compressed, in letters that need no escaping; equal texts give equal bytes."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


@cache
def packed_library() -> str:
    """Return the chart library as the page carries it."""
    return packed(chart_library())


def packed_numbers(numbers: dict[str, Any]) -> str:
    """Return what the charts draw as the page carries it."""
    return packed(json.dumps(numbers, allow_nan=False, separators=(",", ":")))


@cache
def policy() -> str:
    """Return the page's content-security policy: nothing is loaded, no script runs but these two, by their hashes."""
    scripts = " ".join(f"'sha256-{_hash(script)}'" for script in (own_script(), chart_library()))
    kinds = ("default-src 'none'", "style-src 'unsafe-inline'", "img-src data:", f"script-src {scripts}")
    return "; ".join([*kinds, "base-uri 'none'", "form-action 'none'"])


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
