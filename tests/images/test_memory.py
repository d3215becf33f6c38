"""Images from Python: arrays and PyTorch data sets are read as the same images in a file are."""

import json

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

import doubleread
from doubleread.errors import UnreadableImage, UserError
from doubleread.images import ArraySource, from_datasets
from tests.conftest import draw_images, small_study

EIGHT = np.concatenate([draw_images(30, label, 0) for label in (0, 1)])
LABELS = np.repeat([0, 1], 30)


class Pictures(Dataset):
    """As a torchvision data set: pictures of Pillow's, or what a transform makes of them."""

    def __init__(self, images, labels, transform):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(self.images[index]), int(self.labels[index])


def to_tensor(pixels):
    return torch.from_numpy(pixels)[None].float() / 255


@pytest.mark.parametrize(
    "transform",
    [lambda p: p, to_tensor, lambda p: torch.from_numpy(p)[None]],
    ids=["arrays", "floats", "channels first"],
)
def test_a_data_set_of_pytorch_is_its_images(transform):
    source = from_datasets(
        {"train": Pictures(EIGHT, LABELS, transform), "test": Pictures(EIGHT[:4], LABELS, transform)}
    )
    assert len(source.items) == 64
    assert (source.items[0].case, source.items[0].part, source.items[60].part) == ("train/000000", "train", "test")
    assert {item.class_name for item in source.items} == {"0", "1"}
    assert np.array_equal(source.read(3), EIGHT[3])
    assert source.digest(0) == source.digest(60) != source.digest(1)


def test_16_bits_and_colour():
    deep = np.random.default_rng(0).integers(0, 65536, (2, 3, 5, 7)).astype(np.uint16)
    source = ArraySource(deep, ["cat", "dog"], subjects=[1, 2], names=["x", "y"])
    assert (source.mode(0), source.items[1].subject, source.items[1].case) == ("RGB;16", "2", "y")
    assert np.array_equal(source.read(0, colour=True), np.moveaxis(deep[0], 0, 2))
    floats = ArraySource(torch.from_numpy(deep[:, 0].astype(np.float32) / 65535), [0, 1])
    assert np.array_equal(floats.read(0), deep[0, 0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ArraySource(EIGHT, LABELS[:5]), "labels: 5 for 60 images; expected one for each"),
        (lambda: ArraySource([], []), "images: none; expected one at least"),
        (lambda: ArraySource(EIGHT[:1], [0], split=["dev"]), "split 0: got 'dev'; expected one of train, val, test"),
        (lambda: ArraySource(EIGHT[:1], [0.5]), "label 0: got 0.5; expected one whole number or name for each image"),
        (
            lambda: ArraySource(EIGHT[:2], [0, 1], names=["a", "a"]),
            "names: two cases have one name; expected another for each",
        ),
        (
            lambda: from_datasets(TensorDataset(torch.zeros(3, 4, 4))),
            "the data set, item 0: a tuple; expected a pair: image and label",
        ),
    ],
)  # fmt: skip
def test_messages(make, message):
    with pytest.raises(UserError) as error:
        make()
    assert str(error.value) == message


def test_floats_that_are_no_steps_are_refused():
    source = ArraySource(np.random.default_rng(0).normal(size=(1, 4, 4)), [0])
    with pytest.raises(UnreadableImage) as error:
        source.read(0)
    assert str(error.value) == (
        "float64 pixels that are no steps of 1/255 or 1/65535 from 0 to 1; expected uint8 or uint16, which"
        " data.intensity scales"
    )


def test_a_study_of_arrays_is_that_of_the_same_files(tmp_path):
    parts = {"train": (EIGHT, LABELS), "test": (EIGHT[10:50] + 1, LABELS[10:50])}
    for part, (images, labels) in parts.items():
        (tmp_path / "images" / part).mkdir(parents=True)
        for label in (0, 1):
            np.save(tmp_path / "images" / part / f"{label}.npy", images[labels == label])
    changed = small_study(tmp_path / "images", seeds=1, experiments={"batch": {"factors": {"batch_size": [8, 16]}}})
    changed["data"]["positive"] = "1"
    study = doubleread.load_study(write(tmp_path, changed))
    files = doubleread.run(study, store=tmp_path / "files", progress=False)
    source = ArraySource(
        np.concatenate([images for images, _ in parts.values()]),
        np.concatenate([labels for _, labels in parts.values()]),
        split=[part for part, (images, _) in parts.items() for _ in images],
    )
    arrays = doubleread.run(study, store=tmp_path / "arrays", data=source, progress=False)
    columns = ["arm", "seed", "label", "logit"]
    ours, theirs = (one.logits()[columns].sort_values(columns) for one in (arrays, files))
    assert len(ours) == len(theirs) > 0
    assert np.array_equal(ours["label"], theirs["label"])
    again = doubleread.run(study, store=tmp_path / "arrays", data=source, progress=False)
    assert again.counts.reused == again.counts.planned == 2
    with pytest.raises(UserError) as error:
        doubleread.run("small", store=tmp_path / "arrays", progress=False)
    assert str(error.value).endswith(
        "(--data): its images come from Python; call doubleread.run(study, data=…) with them, or --data PATH"
    )


def write(folder, study):
    (folder / "study.yaml").write_text(json.dumps(study))
    return folder / "study.yaml"
