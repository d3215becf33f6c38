"""Builds the sdist and the wheel, checks what they hold, and tries the wheel as a user has it (`make package`).

The wheel is built from the sdist and from the tree; both must be equal. It is tried in a new environment, in an empty
folder, with no source tree in sight.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import doubleread

ROOT = Path(__file__).parent.parent
BESIDE = ("pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "constraints.txt")
TINY = [
    "data.source={name: phantom, size: 32, train_per_class: 40, test_per_class: 20}",
    "data.sample=null",
    "data.image_size=32",
    "base.epochs=1",
]


def sources(root: Path) -> dict[str, bytes]:
    """Return path within src → content of every file of the package, compiled Python left out."""
    files = [path for path in sorted((root / "src/doubleread").rglob("*")) if path.is_file()]
    kept = [path for path in files if path.suffix != ".pyc"]
    return {path.relative_to(root / "src").as_posix(): path.read_bytes() for path in kept}


def contents(archive: Path) -> dict[str, bytes]:
    """Return path → content of a wheel, or of an sdist without the folder that everything in it stands in."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist()}
    with tarfile.open(archive) as sdist:
        files = {member.name.split("/", 1)[1]: sdist.extractfile(member) for member in sdist if member.isfile()}
        return {name: file.read() for name, file in files.items() if file is not None}


def wheel_faults(wheel: Mapping[str, bytes], expected: Mapping[str, bytes], version: str) -> list[str]:
    """Return what is wrong with a wheel: files that are missing, differ or do not belong there, another version."""
    about = f"doubleread-{version}.dist-info/"
    found = {name for name in wheel if not name.startswith(about)}
    faults = [f"{name} is missing" for name in sorted(expected.keys() - found)]
    faults += [f"{name} does not belong in a wheel" for name in sorted(found - expected.keys())]
    faults += [f"{name} differs from src" for name in sorted(found & expected.keys()) if wheel[name] != expected[name]]
    stated = wheel.get(f"{about}METADATA", b"").decode().splitlines()
    if f"Version: {version}" not in stated:
        faults.append(f"METADATA does not state version {version}, which is doubleread.__version__")
    return faults


def sdist_faults(sdist: Mapping[str, bytes], expected: Mapping[str, bytes]) -> list[str]:
    """Return what is wrong with an sdist: files that are missing, and those of tests or of documentation."""
    names = {f"src/{name}" for name in expected} | set(BESIDE)
    faults = [f"{name} is missing" for name in sorted(names - sdist.keys())]
    allowed = (*BESIDE, "src/", "requirements/", "PKG-INFO", "setup.cfg")
    return faults + [f"{name} does not belong in an sdist" for name in sorted(sdist) if not name.startswith(allowed)]


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Return what a command prints; leave with all that it said where it fails."""
    words = [str(part) for part in command]
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(root: Path, dist: Path, work: Path) -> tuple[Path, Path]:
    """Build sdist and wheel into dist and check them; from a copy, since an earlier build's leftovers would get in."""
    tree = work / "tree"
    shutil.copytree(root / "src/doubleread", tree / "src/doubleread", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "requirements", tree / "requirements")
    for name in BESIDE:
        shutil.copy(root / name, tree)
    shutil.rmtree(dist, ignore_errors=True)
    run(sys.executable, "-m", "build", tree, "--outdir", dist, cwd=work)
    run(sys.executable, "-m", "build", "--wheel", tree, "--outdir", work / "second", cwd=work)
    run(sys.executable, "-m", "twine", "check", "--strict", *dist.iterdir(), cwd=work)
    (sdist,), (wheel,), (second,) = dist.glob("*.tar.gz"), dist.glob("*.whl"), (work / "second").glob("*.whl")
    expected = sources(root)
    faults = [f"{sdist.name}: {fault}" for fault in sdist_faults(contents(sdist), expected)]
    faults += [f"{wheel.name}: {fault}" for fault in wheel_faults(contents(wheel), expected, doubleread.__version__)]
    if contents(wheel) != contents(second):
        faults.append("the sdist builds another wheel than the tree does")
    if faults:
        sys.exit("\n".join(faults))
    return sdist, wheel


def install(wheel: Path, work: Path) -> Path:
    """Install a wheel under constraints.txt into a new environment; return the folder of its programs."""
    run(sys.executable, "-m", "venv", work / "venv", cwd=work)
    programs = work / "venv/bin"
    pip = [programs / "python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run(*pip, "install", "--no-compile", "--constraint", ROOT / "constraints.txt", wheel, cwd=work)
    run(*pip, "check", cwd=work)
    return programs


def attempt(programs: Path, work: Path) -> None:
    """Use an installed doubleread as its user does, in an empty folder and with an empty home."""
    for name in ("home", "empty"):
        (work / name).mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    env |= {"HOME": str(work / "home"), "XDG_CACHE_HOME": str(work / "home/.cache")}
    here = {"cwd": work / "empty", "env": env}
    where = run(programs / "python", "-c", "import doubleread; print(doubleread.__file__)", **here)
    assert Path(where.strip()).is_relative_to(work / "venv"), where
    program = programs / "doubleread"
    assert "reproduce" in run(program, "--help", **here)
    assert "interval" in run(program, "single", "291/400", "278/400", **here)
    settings = [part for setting in TINY for part in ("--set", setting)]
    answer = json.loads(run(program, "reproduce", "a", "--seeds", "1", *settings, "--json", **here))
    assert answer["runs"]["done"] == answer["runs"]["planned"] > 0, answer
    assert (work / "empty" / answer["report"]).stat().st_size > 0, answer


def main() -> None:
    """Build, check, install, try."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="doubleread-package-") as folder:
        work = Path(folder).resolve()
        sdist, wheel = build(ROOT, ROOT / "dist", work)
        print(f"built and checked {sdist.relative_to(ROOT)}, {wheel.relative_to(ROOT)}", flush=True)
        programs = install(wheel, work)
        print(f"installed {wheel.name} into a new environment, after {time.monotonic() - begin:.0f} s", flush=True)
        attempt(programs, work)
    print(f"tried it: import, --help, single, reproduce; {time.monotonic() - begin:.0f} s in all")


if __name__ == "__main__":
    main()
