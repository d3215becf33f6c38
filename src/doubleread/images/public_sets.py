"""Public sets of images that can be fetched: where they lie, their hashes, their licences and how to cite them.

MedMNIST v2 in two dimensions (Yang et al. 2023; Zenodo record 10519652) and the chest films of Kermany et al. (2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from doubleread.errors import UserError, did_you_mean

SIZES = (28, 64, 128, 224)
"""Pixels along each side of a MedMNIST image; the first unless another is asked for."""

MEDMNIST = (
    "J. Yang, R. Shi, D. Wei, Z. Liu, L. Zhao, B. Ke, H. Pfister, B. Ni: MedMNIST v2 - A large-scale lightweight"
    " benchmark for 2D and 3D biomedical image classification, Scientific Data 10:41, 2023,"
    " doi 10.1038/s41597-022-01721-8"
)
KERMANY = (
    "D. Kermany, K. Zhang, M. Goldbaum: Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for"
    " Classification, Mendeley Data V2, 2018, doi 10.17632/rscbjbr9sj.2"
)


@dataclass(frozen=True, kw_only=True)
class PublicFile:
    """One file to fetch: `hash` is `md5:…` or `sha256:…`, `bytes` its size where that is known beforehand."""

    name: str
    url: str
    hash: str
    bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class PublicSet:
    """One set; `files` by the size of the images, None where there is one only.

    `inside` is the folder in an archive that is the set, None for a file that is used as it is. `several` says that an
    image can have several labels at once, of which a study takes one.
    """

    name: str
    what: str
    classes: int
    images: int
    licence: str
    citation: str
    files: Mapping[int | None, PublicFile]
    inside: str | None = None
    several: bool = False

    @property
    def sizes(self) -> list[int]:
        """The sizes that can be chosen, in pixels."""
        return [size for size in self.files if size is not None]


def choose(name: str, size: int | None) -> tuple[PublicSet, PublicFile]:
    """Return the set of a name, and its file of a size; None is the smallest.

    Raises:
        UserError: there is no such set, or it has no such size.
    """
    chosen = SETS.get(name.lower())
    if chosen is None:
        raise UserError("NAME", f'unknown set "{name}"', did_you_mean(name.lower(), SETS))
    if not chosen.sizes and size is not None:
        raise UserError("--size", f"has no effect with {chosen.name}, which has one size", "", "delete it")
    if size is None:
        return chosen, next(iter(chosen.files.values()))
    if size not in chosen.files:
        *others, last = chosen.sizes
        raise UserError("--size", f"got {size}", f"expected {', '.join(map(str, others))} or {last}")
    return chosen, chosen.files[size]


def _medmnist(
    name: str, what: str, classes: int, images: int, hashes: str, licence: str = "CC BY 4.0", several: bool = False
) -> PublicSet:
    files: dict[int | None, PublicFile] = {}
    for size, md5 in zip(SIZES, hashes.split(), strict=True):
        file = f"{name}.npz" if size == SIZES[0] else f"{name}_{size}.npz"
        url = f"https://zenodo.org/records/10519652/files/{file}?download=1"
        files[size] = PublicFile(name=file, url=url, hash=f"md5:{md5}")
    return PublicSet(
        name=name,
        what=what,
        classes=classes,
        images=images,
        licence=licence,
        citation=MEDMNIST,
        files=files,
        several=several,
    )


_KERMANY = PublicSet(
    name="kermany",
    what="chest films of children as they were taken, pneumonia or normal",
    classes=2,
    images=5856,
    licence="CC BY 4.0",
    citation=KERMANY,
    files={
        None: PublicFile(
            name="kermany.zip",
            url="https://data.mendeley.com/public-files/datasets/rscbjbr9sj/files/"
            "f12eaf6d-6023-432f-acc9-80c9d7393433/file_downloaded",
            hash="sha256:13efc055629733dbab07877f8b3c9f81097840dbcdaa326a8542322c2281ce36",
            bytes=1_235_512_464,
        )
    },
    inside="chest_xray",
)

# fmt: off
_MEDMNIST = [
    _medmnist("pathmnist", "colon tissue under the microscope, colour", 9, 107_180,
              "a8b06965200029087d5bd730944a56c1 55aa9c1e0525abe5a6b9d8343a507616"
              " ac42d08fb904d92c244187169d1fd1d9 2c51a510bcdc9cf8ddb2af93af1eadec"),
    _medmnist("chestmnist", "chest films, 14 findings of which several can hold at once", 14, 112_120,
              "02c8a6516a18b556561a56cbdd36c4a8 9de6cd0b934ebb5b7426cfba5efbae16"
              " db107e5590b27930b62dbaf558aebee3 45bd33e6f06c3e8cdb481c74a89152aa", several=True),
    _medmnist("dermamnist", "pigmented spots of the skin, colour", 7, 10_015,
              "0744692d530f8e62ec473284d019b0c7 b70a2f5635c6199aeaa28c31d7202e1f"
              " 2defd784463fa5243564e855ed717de1 8974907d8e169bef5f5b96bc506ae45d", licence="CC BY-NC 4.0"),
    _medmnist("octmnist", "optical coherence tomography of the retina", 4, 109_309,
              "c68d92d5b585d8d81f7112f81e2d0842 e229e9440236b774d9f0dfef9d07bdaf"
              " 0a97e76651ace45c5d943ee3f65b63ae abc493b6d529d5de7569faaef2773ba3"),
    _medmnist("pneumoniamnist", "chest films of children, pneumonia or normal", 2, 5_856,
              "28209eda62fecd6e6a2d98b1501bb15f 8f4eceb4ccffa70c672198ea285246c6"
              " 05b46931834c231683c68f40c47b2971 d6a3c71de1b945ea11211b03746c1fe1"),
    _medmnist("retinamnist", "photographs of the retina, five grades of diabetic retinopathy, colour", 5, 1_600,
              "bd4c0672f1bba3e3a89f0e4e876791e4 afda852cc34dcda56f86ad2b2457dbcc"
              " e48e916a24454daf90583d4e6efb1a18 eae7e3b6f3fcbda4ae613ebdcbe35348"),
    _medmnist("breastmnist", "ultrasound of the breast, malignant or not", 2, 780,
              "750601b1f35ba3300ea97c75c52ff8f6 742edef2a1fd1524b2efff4bd7ba9364"
              " 363e4b3f8d712e9b5de15470a2aaadf1 b56378a6eefa9fed602bb16d192d4c8b"),
    _medmnist("bloodmnist", "blood cells under the microscope, colour", 8, 17_092,
              "7053d0359d879ad8a5505303e11de1dc 2b94928a2ae4916078ca51e05b6b800b"
              " adace1e0ed228fccda1f39692059dd4c b718ff6835fcbdb22ba9eacccd7b2601"),
    _medmnist("tissuemnist", "cells of the kidney's cortex under the microscope", 8, 236_386,
              "ebe78ee8b05294063de985d821c1c34b 123ece2eba09d0aa5d698fda57103344"
              " 61b955355d7425a89687b06cca3ce0c2 b077128c4a949f0a4eb01517f9037b9c"),
    _medmnist("organamnist", "organs in axial slices of abdominal CT", 11, 58_830,
              "68e3f8846a6bd62f0c9bf841c0d9eacc 2dcccc29b88e6da5a01161ef20cda288"
              " eeae80d0a227a8d099027e1b3cfd3b60 50747347e05c87dd3aaf92c49f9f3170"),
    _medmnist("organcmnist", "organs in coronal slices of abdominal CT", 11, 23_583,
              "b9ceb9546e10131b32923c5bbeaea2b1 3ce34a8724ea6f548e6db4744d03b6a9"
              " 773c1f009daa3fe5d9a2a201b2a7ed94 050f5e875dc056f6768abf94ec9995d1"),
    _medmnist("organsmnist", "organs in sagittal slices of abdominal CT", 11, 25_211,
              "9ab87b696fb54e2a387ebe992d6ed5f1 53a6d115339d874c25e309a994ff46d3"
              " ded0c5fa01a95dc4978b956f613e9b8e b354719e553fbbb2513d5533f52a4cb1"),
]
# fmt: on

SETS: dict[str, PublicSet] = {one.name: one for one in (*_MEDMNIST, _KERMANY)}
"""Every set by its name."""
