"""Models by name: the user's own, weights to start from, and what is answered where they do not fit."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from doubleread.errors import UserError
from doubleread.recipe.model import MODELS
from doubleread.training.model import build_model, contents_of, size_of, start_of, try_model
from tests.training.conftest import recipe, run_data

OWN = "tests.training.own_nets"
CNN = {"name": "cnn", "widths": [4, 8], "blocks": [1, 1]}


@pytest.fixture(scope="module")
def data():
    return run_data(16)


def refused(data, model, **changes) -> str:
    plan = recipe(model=model, **changes)

    def tried():
        contents_of(plan)
        try_model(plan, data)

    with pytest.raises(UserError) as error:
        tried()
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nets.py:Net", "nets.py:Net names a file; write nets:Net"),
        ("no_such_package.nets:Net", "no module no_such_package.nets (No module named 'no_such_package')"),
        (
            "no_such_module:Net",
            "no module no_such_module; it is looked for among what is installed, and in the present folder",
        ),
        (f"{OWN}:Absent", f"{OWN} has no Absent"),
        (f"{OWN}:NOTHING", f"{OWN}:NOTHING is no class and no function"),
        (f"{OWN}:Deaf", f"{OWN}:Deaf takes no `outputs`; it must, since the loss decides how many there are"),
        (f"{OWN}:not_a_network", f"{OWN}:not_a_network gives a int, not a torch.nn.Module"),
        (f"{OWN}:Feature", "it gives a tuple; expected logits of shape (2, 1)"),
        (f"{OWN}:Wide", "it gives shape (2, 2); expected logits of shape (2, 1)"),
    ],
)
def test_a_network_of_the_users_own_that_does_not_fit(data, name, expected):
    assert refused(data, name) == f"model {name}: {expected}"


def test_options_go_to_the_network_and_wrong_ones_come_back(data):
    name = f"{OWN}:Tiny"
    assert build_model(recipe(model={"name": name, "width": 5}), 0, data).head.in_features == 5
    assert "unexpected keyword argument 'depth'" in refused(data, {"name": name, "depth": 5})
    assert refused(data, {"name": name, "outputs": 5}) == (
        f"model {name}: outputs comes from the images and the loss; delete it from the options"
    )


def test_a_batch_norm_of_one_case_is_named_before_anything_trains(data):
    # 45 cases in batches of 44 leave one, which a network that ends at a single pixel cannot norm
    deep = {"name": "cnn", "widths": [4, 4, 4, 4], "blocks": [1, 1, 1, 1]}
    said = refused(data, deep, batch_size=44)
    assert said.startswith("model cnn: it fails on a batch of 1 images of shape (1, 16, 16) (ValueError: Expected more")
    assert said.endswith("choose another batch_size or accumulate: one case would be computed alone")
    try_model(recipe(model=deep, batch_size=45), data)
    assert "on a batch of 1 images" in refused(data, deep, batch_size=9, accumulate=9)


def test_patches_must_fill_the_image(data):
    said = refused(data, {"name": "vit", "patch": 7, "width": 8, "depth": 1, "heads": 2})
    assert said == "model vit: ValueError: patches of 7 pixels do not fill a side of 16"


def test_the_source_of_an_own_network_is_part_of_its_identity(tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "nets_of_mine.py"
    source.write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def __init__(self, outputs): super().__init__()\n"
    )
    before = contents_of(recipe(model="nets_of_mine:Net"))
    source.write_text(source.read_text() + "# changed\n")
    assert contents_of(recipe(model="nets_of_mine:Net"))["source"] != before["source"]
    assert contents_of(recipe()) == {}


def test_weights_to_start_from(tmp_path, data):
    path = tmp_path / "start.safetensors"
    given = build_model(recipe(model=CNN, loss="ce"), 9, data).state_dict()
    save_file({**given, "elsewhere": torch.zeros(3)}, path)
    plan = recipe(model={**CNN, "init": str(path)})
    model, start = build_model(plan, 0, data), start_of(plan, data)
    assert start.left == ("head.weight", "head.bias")
    assert set(start.unused) == {"head.weight", "head.bias", "elsewhere"}
    assert all(torch.equal(model.state_dict()[name], given[name]) for name in start.loaded)
    drawn = build_model(recipe(model=CNN), 0, data).state_dict()
    assert all(torch.equal(model.state_dict()[name], drawn[name]) for name in start.left)
    assert start.in_words() == (
        f"init: {len(given) - 2} of {len(given)} tensors start from the file; as drawn: head.weight, head.bias;"
        f" in the file, not in the model: {', '.join(start.unused)}"
    )


def test_the_content_of_the_weights_is_the_identity_not_their_path(tmp_path):
    for folder, value in (("a", 0.0), ("b", 0.0), ("c", 1.0)):
        (tmp_path / folder).mkdir()
        save_file({"head.weight": torch.full((1, 8), value)}, tmp_path / folder / "w.safetensors")
    plans = [recipe(model={**CNN, "init": str(tmp_path / folder / "w.safetensors")}) for folder in "abc"]
    assert plans[0].canonical() == plans[2].canonical()
    assert contents_of(plans[0]) == contents_of(plans[1]) != contents_of(plans[2])


def test_weights_that_cannot_be_used(tmp_path, data):
    path = tmp_path / "w.safetensors"
    model = {**CNN, "init": str(path)}
    assert refused(data, model) == (
        "model.init w.safetensors: it cannot be read (No such file or directory); check the path"
    )
    path.write_bytes(b"\x80\x04K\x01.")
    assert refused(data, model).startswith("model.init w.safetensors: it is no safetensors file (")
    save_file({"head.weight": torch.zeros(1, 3)}, path)
    assert refused(data, model) == (
        "model.init w.safetensors: none of its 1 tensors has the name and shape of one of the model's; expected names"
        " such as stem.weight; start from weights of the same architecture"
    )


def test_sizes_are_those_of_the_models(data):
    perceptron = size_of(recipe(), data.shape)
    assert perceptron.parameters == 256 * 6 + 6 + 6 * 5 + 5 + 5 + 1
    assert perceptron.products == 256 * 6 + 6 * 5 + 5
    # a 5 × 5 convolution to four channels on 8 × 8, then two of 3 × 3 on 4 × 4
    narrow = size_of(recipe(model={"name": "cnn", "widths": [4], "blocks": [1]}), data.shape)
    assert narrow.products == 64 * 4 * 25 + 2 * 16 * 4 * 4 * 9 + 4
    assert size_of(recipe(loss="ce"), data.shape).parameters == perceptron.parameters + 6


def test_every_model_has_an_init():
    assert all("init" in spec.model_fields for spec in MODELS.values())


def test_a_linear_model_is_a_perceptron_without_hidden_layers(data):
    linear, perceptron = (build_model(recipe(model=m), 3, data) for m in ("linear", {"name": "mlp", "hidden": []}))
    assert all(torch.equal(a, b) for a, b in zip(linear.parameters(), perceptron.parameters(), strict=True))
    assert np.isfinite([p.sum().item() for p in linear.parameters()]).all()
