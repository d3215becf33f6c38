"""Three classes and colour images, from files on a disk to the report."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from doubleread import api
from doubleread.dataset.select import classes_of
from doubleread.errors import UserError
from doubleread.metrics import CASE_METRICS, CLASS_METRICS
from doubleread.nouns import REFERENCE, Item, RunData
from doubleread.recipe.model import MODELS
from doubleread.seeds import stream
from doubleread.stats import MULTICLASS, covariance_of
from doubleread.study import parse_study
from doubleread.training import compute_of, train
from doubleread.training.model import build_model, try_model
from tests.conftest import small_study
from tests.training.conftest import paths, recipe
from tests.training.test_loop import hash_of

COLOURS = {"blue": (40, 40, 180), "green": (40, 180, 40), "red": (180, 40, 40)}


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Noisy squares of three colours of nearly one luma: grey, they can hardly be told apart."""
    root = tmp_path_factory.mktemp("colours")
    for part, n in (("train", 16), ("test", 8)):
        for name, colour in COLOURS.items():
            rng = stream("colours", 0, part, name)
            folder = root / part / name
            folder.mkdir(parents=True)
            for i in range(n):
                pixels = np.array(colour) + rng.normal(0, 400, (12, 12, 3))
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{name}-{i:02d}.png")
    return root


def study_of(colours, **changes):
    raw = small_study(colours, seeds=6)
    raw["data"] = {**raw["data"], "positive": None, "channels": "rgb", **changes.pop("data", {})}
    raw["data"] = {key: value for key, value in raw["data"].items() if value is not None}
    raw["base"] = {**raw["base"], "loss": "ce", "epochs": 6, **changes.pop("base", {})}
    raw["experiments"] = {
        "model": {
            "factors": {"model": [{"label": "mlp", "name": "mlp", "hidden": [6]}, "linear"]},
            "claims": [
                {"id": "acc", "metric": "accuracy", "better": "mlp", "than": "linear"},
                {"id": "rank", "metric": "macro_auroc", "better": "mlp", "than": "linear"},
                {"id": "gap", "metric": "gap", "arm": "mlp", "above": 0, "role": "secondary", "margin": 0.02},
            ],
        }
    }
    return parse_study({**raw, **changes}, place="study.yaml")


@pytest.fixture(scope="module")
def results(colours, tmp_path_factory):
    return api.run(study_of(colours), store=tmp_path_factory.mktemp("store") / "runs", progress=False)


def test_three_classes_in_the_results(results):
    arms = results.arms().set_index(["arm", "metric"])
    assert {"accuracy", "macro_auroc", "macro_recall"} <= set(results.arms()["metric"])
    assert "auroc" not in set(results.arms()["metric"])
    assert arms.loc[("model/mlp", "accuracy"), "mean"] > 0.6
    assert np.isfinite(arms.loc[("model/mlp", "macro_auroc"), ["lo", "hi"]].astype(float)).all()
    claims = results.claims().set_index("id")
    assert np.isfinite(claims.loc[["acc", "rank", "gap"], ["estimate", "lo", "hi"]].astype(float)).all(axis=None)
    assert results.gap().empty
    averaged = results.ensembles().set_index(["arm", "metric"])
    assert averaged.loc[("model/linear", "macro_recall"), "hi"] > 0.5


def test_every_number_can_be_had_from_the_logits(results):
    logits = results.logits()
    mine = logits[(logits.arm == "model/mlp") & (logits.seed == 2) & (logits.split == "test")]
    scores = mine[["logit_0", "logit_1", "logit_2"]].to_numpy()
    run = results.runs().set_index(["arm", "seed"]).loc[("model/mlp", 2)]
    for name, metric in CLASS_METRICS.items():
        assert metric(mine["label"].to_numpy(), scores) == pytest.approx(run[name]), name


def test_the_report_of_three_classes(results, tmp_path):
    page = results.save_report(tmp_path / "report.html").read_text()
    for text in ("test macro AUROC", "blue, called green", "red = 2", "The worst test cases", "red, green and blue"):
        assert text in page, text
    assert "ROC and precision" not in page
    results.save_tables(tmp_path / "tables")
    confusion = pd.read_csv(tmp_path / "tables" / "confusion.csv")
    counts = confusion.filter(like="label_").sum(axis=1)
    assert set(counts[confusion.split == "test"]) == {24}
    assert json.loads((tmp_path / "tables" / "arms.json").read_text())


def test_colour_says_what_grey_does_not(results, colours, tmp_path):
    grey = api.run(study_of(colours, data={"channels": "grey"}), store=tmp_path / "runs", progress=False)
    accuracy = [r.arms().set_index(["arm", "metric"]).loc[("model/mlp", "accuracy"), "mean"] for r in (results, grey)]
    assert accuracy[0] > accuracy[1] + 0.1
    assert results.result.data[0].shape == (3, 8, 8)
    assert grey.result.data[0].shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"base": {"loss": "bce"}}, "study.yaml, arm model/mlp, loss: bce is for two classes, the images have 3;"
            " expected ce or focal"),
        (
            {"base": {"loss": {"name": "ce", "class_weights": [1, 2]}}},
            "study.yaml, arm model/mlp, loss.class_weights: 2 class weights for 3 classes; expected one for each;"
            " or balanced",
        ),
        (
            {"threshold": ["youden", 0.7]},
            "study.yaml, threshold: it has no effect with 3 classes, not two; delete it",
        ),
        (
            {"gap": {"leakage": True}},
            "study.yaml, gap.leakage: the parts of the gap are for two classes, not 3; delete it",
        ),
        (
            {"data": {"positive": "red"}},
            "data.positive: the source has 3 classes, blue, green, red; expected two, of which one is positive; delete"
            " it to compare recipes on all classes, or check the folder above the class folders",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_three_classes(colours, tmp_path, changes, expected):
    with pytest.raises(UserError) as error:
        api.run(study_of(colours, **changes), store=tmp_path / "runs", progress=False)
    assert str(error.value) == expected


def test_a_metric_of_two_classes_is_refused_for_three(colours, tmp_path):
    study = study_of(colours)
    raw = {**study.raw}
    raw["experiments"]["model"]["claims"][1]["metric"] = "auroc"
    with pytest.raises(UserError) as error:
        api.run(parse_study(raw, place="study.yaml"), store=tmp_path / "runs", progress=False)
    assert str(error.value) == (
        "study.yaml, claims.rank: auroc is not a metric of 3 classes; expected one of accuracy, macro_auroc,"
        " macro_recall"
    )


def test_colour_without_colour_has_no_effect(image_folder, tmp_path):
    raw = small_study(image_folder)
    raw["data"]["channels"] = "rgb"
    with pytest.raises(UserError) as error:
        api.run(parse_study(raw, place="study.yaml"), store=tmp_path / "runs", progress=False)
    assert str(error.value) == "data.channels: rgb has no effect: no image is stored in colour; delete it"


def test_classes_are_in_the_order_of_their_numbers():
    items = [Item(case=name, class_name=name, part=None) for name in ("10", "9", "2")]
    assert classes_of(items, None) == ("2", "9", "10")


def many_data(classes: int, channels: int = 1) -> RunData:
    rng = np.random.default_rng(5)
    labels = np.arange(60) % classes
    shape = (60, 8, 8) if channels == 1 else (60, 8, 8, channels)
    images = (rng.normal(100, 20, shape) + 30 * labels.reshape(-1, *[1] * (len(shape) - 1))).clip(0, 255)
    rows = np.arange(60)
    return RunData(
        images=images.astype(np.uint8), labels=labels, train=rows[:40], val=rows[40:50], test=rows[50:], classes=classes
    )


@pytest.mark.parametrize("loss", ["ce", {"name": "focal", "gamma": 1.5}, {"name": "ce", "class_weights": "balanced"}])
def test_losses_of_many_classes_train(loss):
    data = many_data(4)
    plan = recipe(loss=loss, sampling="balanced", epochs=3)
    assert compute_of(plan, classes=4) == REFERENCE
    first, again = (train(plan, 1, "unit", data) for _ in range(2))
    assert hash_of(first) == hash_of(again)
    assert first.test_logits.shape == (10, 4)
    assert first.epochs[-1].train_loss < first.epochs[0].train_loss
    assert first.epochs[-1].val_auroc > 0.4


def test_a_perceptron_on_colour_is_the_same_on_every_path():
    data = many_data(2, channels=3)
    plan = recipe(optimizer={"name": "adam", "lr": 1e-3})
    oracle = train(plan, 1, "unit", data, compute=REFERENCE)
    for path in paths():
        found = train(plan, 1, "unit", data, compute=compute_of(plan) if path == paths()[-1] else REFERENCE)
        assert [e.train_loss for e in found.epochs] == pytest.approx([e.train_loss for e in oracle.epochs], rel=1e-3)


def test_two_classes_by_the_metrics_of_many():
    rng = np.random.default_rng(0)
    labels, logits = np.arange(40) % 2, rng.normal(0, 1, (3, 40))
    many = np.stack([-logits / 2, logits / 2], axis=2)
    for name, binary in (("accuracy", "accuracy"), ("macro_recall", "balanced_accuracy"), ("macro_auroc", "auroc")):
        assert CLASS_METRICS[name](labels, many[0]) == pytest.approx(CASE_METRICS[binary](labels, logits[0]))
        ours = covariance_of(name, many, labels, np.arange(40))
        assert ours == pytest.approx(MULTICLASS[name](many, labels, np.arange(40))[1])
        assert MULTICLASS[name](many, labels, np.arange(40))[0][0] == pytest.approx(
            CLASS_METRICS[name](labels, many[0])
        )


@pytest.mark.parametrize("name", MODELS)
def test_every_model_takes_colour_and_many_classes(name):
    options = {"mlp": {"hidden": [4]}, "vit": {"patch": 8, "width": 8, "depth": 1, "heads": 2}}.get(name, {})
    rows = np.arange(6)
    images = np.zeros((6, 32, 32, 3), dtype=np.uint8)
    data = RunData(images=images, labels=rows % 4, train=rows, val=rows, test=rows, classes=4)
    plan = recipe(model={"name": name, **options}, loss="ce", batch_size=3)
    try_model(plan, data)
    found = build_model(plan, 0, data).eval()(torch.zeros(2, 3, 32, 32))
    assert found.shape == (2, 4)
