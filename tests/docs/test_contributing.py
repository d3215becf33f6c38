"""What CONTRIBUTING.md shows of the code is the code."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
SHOWN = re.findall(r"<!-- not run: it is the (file|end of) (\S+) -->\n```python\n(.*?)```", PAGE, re.S)


@pytest.mark.parametrize(("what", "path", "block"), [(w.split()[0], p, b) for w, p, b in SHOWN])
def test_what_is_shown_is_the_file(what, path, block):
    found = (ROOT / path).read_text()
    assert found == block if what == "file" else found.endswith(block)


def test_every_place_that_is_named_is_there():
    # paths below src/doubleread may be shortened in the tables
    named = {path for path in re.findall(r"`((?:[\w.]+/)+[\w.]*)`", PAGE) if "NAME" not in path}
    assert len(named) > 10
    for path in named:
        assert any((root / path).exists() for root in (ROOT, ROOT / "src" / "doubleread")), path


def test_every_registry_that_is_named_is_there():
    registries = re.findall(r"`([A-Z_]+)` (?:in|of) `([\w/.]+\.py)`", PAGE)
    assert len(registries) >= 7
    for name, path in registries:
        source = next(root / path for root in (ROOT, ROOT / "src" / "doubleread") if (root / path).exists())
        assert re.search(rf"^{name}\b", Path(source).read_text(), re.M), f"{name} in {path}"
