"""Shared fixtures: small images on a disk, a small study, the real data where it is."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from doubleread import cli
from doubleread.seeds import stream

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real images; absent on most machines, present in continuous integration."""
    folder = Path(os.environ.get("DOUBLEREAD_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"the shared data is not at {folder}")
        pytest.skip(f"the shared data is not at {folder}; set DOUBLEREAD_SHARED")
    return folder


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium that reaches nothing but this machine; absent on many, present in continuous integration."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium in continuous integration")
        pytest.skip("needs Chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def call(capsys, monkeypatch):
    """Return a function that runs the program in this process and gives (exit code, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["doubleread", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as leave:
            code = leave.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def needed(module: str) -> None:
    """Skip a test where an optional package is missing; in continuous integration fail it."""
    if importlib.util.find_spec(module) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no {module} in continuous integration")
        pytest.skip(f"needs {module}")


def draw_images(n: int, label: int, seed: int, size: int = 16) -> np.ndarray:
    """Return small noisy images; those of label 1 have a brighter lower half. Shape (n, size, size), uint8."""
    rng = stream("test-images", seed, label)
    images = rng.normal(110, 30, (n, size, size))
    images[:, size // 2 :] += 25 * label
    return images.clip(0, 255).astype(np.uint8)


def write_folder(root: Path, *, train: int = 24, test: int = 10, size: int = 16) -> Path:
    """Write train and test folders of two classes of PNG files; the case number is in the name."""
    for part, n, seed in (("train", train, 0), ("test", test, 1)):
        for label, name in enumerate(("NORMAL", "PNEUMONIA")):
            folder = root / part / name
            folder.mkdir(parents=True)
            for i, pixels in enumerate(draw_images(n, label, seed, size)):
                Image.fromarray(pixels).save(folder / f"{name.lower()}-{i:03d}.png")
    return root


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 68 small images that no test may change."""
    return write_folder(tmp_path_factory.mktemp("images"))


def small_study(source: Path | str, **changes: object) -> dict:
    """Return a study file as a mapping: two experiments, five arms of four different recipes, two seeds."""
    study = {
        "study": "small",
        "question": "Does the batch size matter?",
        "data": {
            "source": str(source),
            "positive": "PNEUMONIA",
            "image_size": 8,
            "intensity": "unit",
            "split": {"val": 0.25, "by": "case", "seed": 0},
        },
        "base": {
            "model": {"name": "mlp", "hidden": [6]},
            "loss": "bce",
            "optimizer": {"name": "adam", "lr": 1e-2},
            "schedule": "constant",
            "batch_size": 8,
            "epochs": 3,
        },
        "seeds": 2,
        "experiments": {
            "loss": {"factors": {"loss": ["bce", "ce"]}, "reported": {"accuracy": {"bce": 0.75, "ce": 0.5}}},
            "batch": {"factors": {"batch_size": [4, 8, 16]}},
        },
    }
    return {**study, **changes}


@pytest.fixture
def study_dict(image_folder: Path) -> dict:
    """The small study on the small images; a test may change its copy."""
    return small_study(image_folder)
