"""What is published: the version in every place, every file in the wheel, locks that agree with what they come from."""

import json
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

import doubleread
from tools.lock import Pin, constrained, normal, pins, unlike, wanted, written
from tools.package import BESIDE, sdist_faults, sources, wheel_faults

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKS = sorted((ROOT / "requirements").glob("lock-*.txt"))
ALL = [path for path in LOCKS if not path.stem.endswith("-dev")]
KNOWN = constrained((ROOT / "constraints.txt").read_text())
ABOUT = "doubleread-1.2.3.dist-info/METADATA"
FILES = {"doubleread/__init__.py": b"a", "doubleread/py.typed": b""}
WHEEL = {**FILES, ABOUT: b"Name: doubleread\nVersion: 1.2.3\n"}


def name_of(requirement: str) -> str:
    return normal(re.split(r"[\s\[<>=!~;]", requirement)[0])


def test_one_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]
    assert PROJECT["version"] == doubleread.__version__ == cited


def test_every_file_of_the_package_is_declared():
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["doubleread"]
    data = [name.removeprefix("doubleread/") for name in sources(ROOT) if not name.endswith(".py")]
    assert any(name.endswith(".c") for name in data)
    assert [name for name in data if not any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_all_has_every_extra_of_users():
    named = EXTRAS["all"][0].removeprefix("doubleread[").removesuffix("]").split(",")
    assert sorted([*named, "all", "bench", "dev", "release"]) == sorted(EXTRAS)


def test_pythons_that_are_named_are_allowed():
    named = re.findall(r"Python :: 3\.(\d+)", "\n".join(PROJECT["classifiers"]))
    assert named
    assert all(int(minor) >= 11 for minor in named)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"doubleread/py.typed": None}, "doubleread/py.typed is missing"),
        ({"tests/test_a.py": b""}, "tests/test_a.py does not belong in a wheel"),
        ({"doubleread/old.py": b""}, "doubleread/old.py does not belong in a wheel"),
        ({"doubleread/__init__.py": b"b"}, "doubleread/__init__.py differs from src"),
        ({ABOUT: b"Version: 1.2.2\n"}, "METADATA does not state version 1.2.3, which is doubleread.__version__"),
    ],
)
def test_a_bad_wheel_is_named(change, fault):
    assert wheel_faults(WHEEL, FILES, "1.2.3") == []
    changed = {name: content for name, content in {**WHEEL, **change}.items() if content is not None}
    assert wheel_faults(changed, FILES, "1.2.3") == [fault]


def test_a_bad_sdist_is_named():
    sdist = {
        **{f"src/{name}": content for name, content in FILES.items()},
        **dict.fromkeys(BESIDE, b""),
        "PKG-INFO": b"",
    }
    assert sdist_faults(sdist, FILES) == []
    del sdist["LICENSE"]
    faults = sdist_faults({**sdist, "tests/test_a.py": b""}, FILES)
    assert faults == ["LICENSE is missing", "tests/test_a.py does not belong in an sdist"]


def test_there_are_locks():
    assert [path.name for path in LOCKS if "linux-x86_64-py311" in path.name] == [
        "lock-linux-x86_64-py311-dev.txt",
        "lock-linux-x86_64-py311.txt",
    ]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_a_lock_agrees(path):
    lock = pins(path.read_text())
    extra = "dev" if path.stem.endswith("-dev") else "all"
    needed = {name_of(line) for line in PROJECT["dependencies"] + wanted([extra], project=PROJECT)}
    assert needed - lock.keys() == set()
    assert unlike(lock, KNOWN) == []
    assert f"-r requirements/{path.name}" in path.read_text()


def test_the_smaller_lock_is_part_of_the_larger():
    small, large = (pins(path.read_text()) for path in (ALL[0], ALL[0].with_stem(f"{ALL[0].stem}-dev")))
    assert small.items() <= large.items()


def test_a_version_that_constraints_do_not_have_is_named():
    some = frozenset(["0" * 64])
    lock = {
        name: Pin(version=version, hashes=some) for name, version in {"a": "1+cpu", "b": "2", "nvidia-x": "3"}.items()
    }
    assert unlike(lock, {"a": "1", "b": "1"}) == ["b==2"]


def test_a_line_without_a_hash_is_refused():
    lock = {"a-b": Pin(version="1.0+cpu", hashes=frozenset(["0" * 64, "1" * 64]))}
    text = written(lock, ["a header"])
    assert pins(text) == lock
    with pytest.raises(ValueError, match=r"^expected NAME==VERSION with --hash=sha256:…, got 'c==2'$"):
        pins(text + "c==2\n")


def test_extras_within_extras_are_written_out():
    project = {"optional-dependencies": {"all": ["doubleread[x,y]"], "x": ["a>=1"], "y": ["b>=2", "c"]}}
    assert wanted(["all"], project=project) == ["a>=1", "b>=2", "c"]


def test_the_page_on_installing_names_every_extra():
    page = (ROOT / "docs/how-to/install.md").read_text()
    assert [extra for extra in EXTRAS if f"| `{extra}` |" not in page] == []


def test_help_loads_nothing_heavy():
    code = """
import json, sys
from doubleread.cli import main
sys.argv = ["doubleread", "--help"]
try:
    main()
finally:
    print(json.dumps([name for name in sys.modules if "." not in name]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert "doubleread" in loaded
    assert set(loaded) & {"torch", "numpy", "scipy", "pandas", "matplotlib", "monai", "sklearn", "pydantic"} == set()
