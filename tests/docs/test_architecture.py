"""The page about the architecture says of each package what the package says of itself, in the layer that it has."""

import ast
import re

from tests.conftest import ROOT
from tests.test_layers import LAYERS, SOURCE

PAGE = ROOT / "docs" / "explanation" / "architecture.md"


def says(name):
    """Return the first line of a package's or module's docstring."""
    path = SOURCE / name / "__init__.py" if (SOURCE / name).is_dir() else SOURCE / f"{name}.py"
    return ast.get_docstring(ast.parse(path.read_text())).splitlines()[0]


def test_the_table_of_packages_is_their_docstrings():
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    highest_first = reversed(list(enumerate(LAYERS)))
    assert rows == [(str(level), name, says(name)) for level, names in highest_first for name in sorted(names)]
