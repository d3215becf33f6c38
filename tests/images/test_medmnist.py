"""MedMNIST of every two-dimensional flavour: binary, several classes, several labels, colour, every size."""

import numpy as np
import pytest

from doubleread.errors import UserError
from doubleread.images import open_source


def write(path, labels, *, size=28, colour=False, depth=None):
    shape = (len(labels), size, size, *((3,) if colour else ()))
    if depth is not None:
        shape = (len(labels), size, size, depth)
    images = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    arrays = {}
    for split in ("train", "val", "test"):
        arrays |= {f"{split}_images": images, f"{split}_labels": labels.astype(np.uint8)}
    np.savez_compressed(path, **arrays)
    return images


SEVERAL = np.random.default_rng(1).integers(0, 2, (6, 14))


@pytest.mark.parametrize("size", [28, 64, 128, 224])
@pytest.mark.parametrize("colour", [False, True])
def test_every_size_grey_and_in_colour(tmp_path, size, colour):
    images = write(tmp_path / "set.npz", np.arange(6)[:, None] % 3, size=size, colour=colour)
    source = open_source(str(tmp_path / "set.npz"))
    assert [item.class_name for item in source.items[:6]] == ["0", "1", "2"] * 2
    assert source.mode(0) == ("RGB" if colour else "L")
    assert np.array_equal(source.read(4, colour=colour), images[4])


@pytest.mark.parametrize("label", ["pneumonia", "6"])
def test_one_of_several_labels(tmp_path, label):
    write(tmp_path / "chest.npz", SEVERAL)
    source = open_source(str(tmp_path / "chest.npz"), columns={"label": label})
    assert [int(item.class_name) for item in source.items[:6]] == SEVERAL[:, 6].tolist()


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (
            None,
            "{path}, train_labels: 14 labels for each image; expected a number from 0 to 13, or one of",
        ),
        ("14", 'data.columns.label: got "14"; expected a number from 0 to 13, or one of atelectasis,'),
        ("flu", 'data.columns.label: got "flu"; expected a number from 0 to 13, or one of atelectasis,'),
    ],
)
def test_several_labels_must_be_chosen_from(tmp_path, label, message):
    write(tmp_path / "chest.npz", SEVERAL)
    with pytest.raises(UserError) as error:
        open_source(str(tmp_path / "chest.npz"), columns={"label": label} if label else None)
    assert str(error.value).startswith(message.format(path=tmp_path / "chest.npz"))


def test_one_label_is_not_chosen_from(tmp_path):
    write(tmp_path / "set.npz", np.arange(6) % 2)
    with pytest.raises(UserError) as error:
        open_source(str(tmp_path / "set.npz"), columns={"label": "0"})
    assert str(error.value) == "data.columns: label has no effect: each image has one; delete it"


def test_volumes_are_refused(tmp_path):
    write(tmp_path / "organ.npz", np.arange(6) % 2, depth=28)
    with pytest.raises(UserError) as error:
        open_source(str(tmp_path / "organ.npz"))
    assert str(error.value) == (
        f"{tmp_path / 'organ.npz'}, train_images: shape (6, 28, 28, 28): volumes; expected images, (N, height, width)"
        " or (N, height, width, 3)"
    )
