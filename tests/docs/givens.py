"""What the folder of a page may hold at the start: made once, copied for each page that asks for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

import doubleread as dr
from doubleread.images import open_source
from doubleread.images.phantom import write_png
from doubleread.nouns import Source
from tests.conftest import needed
from tests.images.dicom_files import write_dicom

STUDY = """\
study: losses
question: Does the loss change what a small perceptron learns?
data:
  source: films
  positive: PNEUMONIA
  image_size: 16
  intensity: unit
  split: {val: 0.2, by: case, seed: 0}
base:
  model: {name: mlp, hidden: [16]}
  loss: bce
  optimizer: {name: adam, lr: 1e-2}
  schedule: cosine
  batch_size: 16
  epochs: 2
seeds: 2
experiments:
  loss:
    factors: {loss: [bce, ce]}
    claims:
      - {id: bce-beats-ce, metric: accuracy, better: bce, than: ce}
"""
DIGITS = """\
study: digits
question: Does the loss change what a perceptron learns of digits?
data:
  source: from Python
  image_size: 8
  intensity: unit
  split: {val: 0.2, test: 0.2, by: case, seed: 0}
base:
  model: {name: mlp, hidden: [16]}
  loss: bce
  optimizer: {name: adam, lr: 1e-2}
  schedule: constant
  batch_size: 32
  epochs: 1
seeds: 2
experiments:
  loss:
    factors: {loss: [bce, ce]}
"""
CLAIMS = """\
claims:
  - {id: bce-beats-ce, metric: accuracy, better: loss/bce, than: loss/ce}
"""


def films(folder: Path) -> None:
    """Write films, a small set of two classes with train and test, and film.png, one image beside it."""
    write_png(_phantom(train=40, test=20), folder / "films")
    shutil.copy(next((folder / "films" / "test" / "NORMAL").iterdir()), folder / "film.png")


def dicom(folder: Path) -> None:
    """Write dicom, 40 films of 12 bits of each of two classes, each with its patient."""
    needed("pydicom")
    source = _phantom(train=400, test=200, size=64)
    for label, name in enumerate(("NORMAL", "PNEUMONIA")):
        mine = [i for i, item in enumerate(source.items) if (item.part, item.class_name) == ("test", name)][:40]
        (folder / "dicom" / name).mkdir(parents=True)
        for place, index in enumerate(mine):
            patient = Path(source.items[index].case).stem.split("-")[1]
            pixels = source.read(index).astype(np.uint16) * 16
            header = {"PatientID": f"patient{patient}", "BitsStored": 12, "HighBit": 11}
            uids = {"StudyInstanceUID": f"1.2.{label + 1}.{patient}", "SeriesInstanceUID": f"1.2.{label + 1}.{index}"}
            write_dicom(folder / "dicom" / name / f"IM{place:04}", pixels, **header, **uids)


def study(folder: Path) -> None:
    """Write films, and study.yaml about them: `losses`, with the arms loss/bce and loss/ce."""
    films(folder)
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")


def trained(folder: Path) -> None:
    """Write the study, and runs, a store that has trained it."""
    study(folder)
    dr.run(folder / "study.yaml", store=folder / "runs", progress=False)


def logits(folder: Path) -> None:
    """Write logits.csv, those of the study, and claims.yaml about them."""
    trained(folder)
    results = dr.open_results("losses", store=folder / "runs")
    results.save_tables(folder / "tables")
    shutil.move(folder / "tables" / "logits.csv", folder / "logits.csv")
    (folder / "claims.yaml").write_text(CLAIMS, encoding="utf-8")
    for name in ("tables", "runs", "films"):
        shutil.rmtree(folder / name)
    (folder / "study.yaml").unlink()


def digits(folder: Path) -> None:
    """Write digits.yaml, a study whose images come from Python."""
    (folder / "digits.yaml").write_text(DIGITS, encoding="utf-8")


GIVEN: dict[str, Callable[[Path], None]] = {
    "films": films,
    "dicom": dicom,
    "study": study,
    "trained": trained,
    "logits": logits,
    "digits": digits,
}


class Givens:
    """Makes what pages are given, each once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, name: str, folder: Path) -> None:
        """Copy what is called so into a folder."""
        made = self.root / name
        if not made.exists():
            # a store remembers where a study's file lies: the place it was made in must be gone
            making = self.root / f"making-{name}"
            making.mkdir(parents=True)
            GIVEN[name](making)
            making.rename(made)
        shutil.copytree(made, folder, dirs_exist_ok=True)


def _phantom(*, train: int, test: int, size: int = 32) -> Source:
    spec = {"name": "phantom", "size": size, "train_per_class": train, "test_per_class": test}
    return open_source(spec, place="the films")
