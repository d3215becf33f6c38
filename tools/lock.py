"""Writes requirements/: every package of an installation with its version and the hashes of its files (`make lock`).

Versions come from constraints.txt, hashes from where pip finds the files. A lock is of one platform and one Python,
which stand in its name, and of one build of torch. With the hashes of two builds pip would take PyPI's, which brings
CUDA on Linux, even where it finds a CPU build.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "requirements"
CUDA = ("cuda-", "nvidia-", "triton")
SELF = re.compile(r"doubleread\[(.+)\]$")
LINE = re.compile(r"^([\w.-]+)==([^\s\\]+)((?:[ ]?\\\n\s+--hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Pin:
    """One package of a lock: its version, and the SHA-256 of each file that may be installed as it."""

    version: str
    hashes: frozenset[str]


def normal(name: str) -> str:
    """Return a package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(extras: list[str], *, project: dict) -> list[str]:
    """Return the requirements of extras, one extra within another written out."""
    found = []
    for extra in extras:
        for line in project["optional-dependencies"][extra]:
            own = SELF.match(line)
            found += wanted(own[1].split(","), project=project) if own else [line]
    return found


def constrained(text: str) -> dict[str, str]:
    """Return name → version of the lines of constraints.txt."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {normal(name): version for name, version in (line.split("==") for line in lines)}


def pins(text: str) -> dict[str, Pin]:
    """Return name → pin of a lock; raises ValueError where a line is anything else, a line without a hash too."""
    rest = LINE.sub("", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).strip()
    if rest:
        raise ValueError(f"expected NAME==VERSION with --hash=sha256:…, got {rest.splitlines()[0]!r}")
    return {
        normal(name): Pin(version=version, hashes=frozenset(re.findall(r"sha256:([0-9a-f]{64})", hashes)))
        for name, version, hashes in LINE.findall(text)
    }


def unlike(lock: dict[str, Pin], known: dict[str, str]) -> list[str]:
    """Return the lines of a lock that constraints.txt does not have; CUDA's libraries come with the build of torch."""
    other = {name: pin.version for name, pin in lock.items() if known.get(name) != pin.version.split("+")[0]}
    return [f"{name}=={version}" for name, version in sorted(other.items()) if not name.startswith(CUDA)]


def compiled(requirements: list[str]) -> dict[str, Pin]:
    """Return what pip would install for requirements under constraints.txt, with hashes."""
    options = ["--quiet", "--generate-hashes", "--allow-unsafe", "--strip-extras", "--no-annotate", "--no-header"]
    options += ["--no-emit-index-url", "--no-emit-find-links", "--constraint", "constraints.txt"]
    command = [sys.executable, "-m", "piptools", "compile", *options, "--output-file", "-", "-"]
    given = "\n".join(requirements)
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise SystemExit(done.stderr)
    return pins(done.stdout)


def written(lock: dict[str, Pin], header: list[str]) -> str:
    """Return a lock as the text of a requirements file."""
    lines = [f"# {line}" for line in header]
    for name, pin in sorted(lock.items()):
        lines.append(" \\\n    ".join([f"{name}=={pin.version}", *(f"--hash=sha256:{h}" for h in sorted(pin.hashes))]))
    return "\n".join(lines) + "\n"


def header(extra: str, *, where: str, name: str, torch: str) -> list[str]:
    """Return the lines at the top of the lock in requirements/name."""
    return [
        f"doubleread[{extra}] for {where}. Written by `make lock` from pyproject.toml, constraints.txt; do not edit.",
        f"    pip install --require-hashes -r requirements/{name}",
        "    pip install --no-deps -e .     # in a clone; or the wheel",
        f"torch is the build {torch}; pip has to find that file (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL).",
        "For another build of it, CUDA or CPU, and for another platform or Python, run `make lock` there.",
    ]


def main() -> None:
    """Write the locks of this platform and this Python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = constrained((ROOT / "constraints.txt").read_text())
    where = f"{sys.platform}-{platform.machine()}-py{sys.version_info.major}{sys.version_info.minor}"
    FOLDER.mkdir(exist_ok=True)
    for ending, extra in {"": "all", "-dev": "dev"}.items():
        lock = compiled(project["dependencies"] + wanted([extra], project=project))
        missing = unlike(lock, known)
        if missing:
            raise SystemExit(f"constraints.txt: expected the lines {', '.join(missing)}; add them")
        name = f"lock-{where}{ending}.txt"
        text = written(lock, header(extra, where=where, name=name, torch=lock["torch"].version))
        (FOLDER / name).write_text(text)
        print(f"requirements/{name}: {len(lock)} packages")


if __name__ == "__main__":
    main()
