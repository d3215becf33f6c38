"""A saved model: gives back the stored logits to the bit, says what it is worth, and runs nothing that it names."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from safetensors.numpy import load, save
from scipy.special import expit, logit

from doubleread.analysis import analyse
from doubleread.errors import UserError, WorkFailed
from doubleread.files import sha256
from doubleread.metrics import accuracy
from doubleread.model_file import export_model, load_model, onnx_file, write_model, write_onnx
from doubleread.model_file.card import card_of
from doubleread.model_file.document import Document, Likeness
from doubleread.model_file.likeness import LEAST_K, unlike
from doubleread.stats import ensemble_logits
from doubleread.store import open_store, read_logits
from doubleread.study import study_of
from doubleread.study.threshold_spec import ThresholdSpec
from tests.conftest import draw_images, needed, small_study
from tests.model_file.conftest import MODEL_STUDY, result_of, trained

ARMS = ("model/mlp", "model/cnn")


def exported(store_root, result, arm, **how):
    with open_store(store_root) as store:
        return export_model(result, store, arm, **how)


def saved(path, store_root, result, arm, **how):
    found = exported(store_root, result, arm, **how)
    write_model(path, found.predictor.document, found.weights)
    return load_model(path)


@pytest.fixture(scope="module")
def models(model_store, model_result, tmp_path_factory):
    """Every seed of both arms and their ensembles, written to a folder or a .zip and read back."""
    root, found = tmp_path_factory.mktemp("written"), {}
    for arm in ARMS:
        for seed in range(3):
            path = root / f"{arm.split('/')[1]}-{seed}{'.zip' if seed else ''}"
            found[arm, seed] = saved(path, model_store, model_result, arm, seed=seed)
        found[arm, "all"] = saved(root / f"{arm.split('/')[1]}.zip", model_store, model_result, arm, ensemble=True)
    return found


@pytest.mark.parametrize("arm", ARMS)
def test_a_model_read_back_gives_the_stored_logits_to_the_bit(models, model_store, model_result, arm):
    for run in model_result.of(arm).done:
        stored = read_logits(model_store, run.run_id)
        images = run.data.images
        found = models[arm, run.seed].logits(np.array(images[stored.test_rows]))
        assert np.array_equal(found[0], stored.test)
        assert np.array_equal(models[arm, "all"].logits(np.array(images[stored.val_rows]))[run.seed], stored.val)


def test_it_carries_its_preprocessing(models, model_result, image_folder):
    model, data = models["model/mlp", 0], model_result.data[0]
    for case in data.cases[:4]:
        row = data.cases.index(case)
        assert np.array_equal(model.prepared((image_folder / case.case).read_bytes()), data.images[row])


def test_the_seeds_are_averaged_as_the_report_averages_them(models, model_result):
    arm = model_result.of("model/cnn")
    rows = arm.done[0].logits.test_rows
    images = np.array(arm.done[0].data.images[rows])
    found = models["model/cnn", "all"].predictions(images)
    joined = ensemble_logits(np.stack([run.logits.test for run in arm.done]).astype(np.float64))
    assert found.mean_NC[:, 1] == pytest.approx(expit(joined), abs=1e-9)
    assert np.array_equal(found.called_N, (joined > 0).astype(int))
    labels = arm.done[0].data.labels[rows]
    assert accuracy(labels, joined) == pytest.approx(arm.ensemble["accuracy"].value)
    metrics = models["model/cnn", "all"].document.metrics
    assert metrics["ensemble"]["accuracy"]["value"] == pytest.approx(arm.ensemble["accuracy"].value)
    assert metrics["ensemble"]["auroc"]["lo"] == pytest.approx(arm.ensemble["auroc"].lo)
    assert metrics["seeds"]["accuracy"]["mean"] == pytest.approx(arm.spreads["accuracy"].mean)
    assert found.sd_NC[:, 1] == pytest.approx(
        np.std([expit(run.logits.test) for run in arm.done], axis=0, ddof=1), abs=1e-6
    )


def test_without_a_choice_it_is_the_seed_that_is_best_on_validation(model_store, model_result):
    best = max(model_result.of("model/cnn").done, key=lambda run: (run.metrics["val_auroc"], -run.seed))
    found = exported(model_store, model_result, "model/cnn").predictor
    assert found.seeds == (best.seed,)
    assert found.document.kind == "seed"
    assert found.document.metrics["run"]["accuracy"]["value"] == best.metrics["accuracy"]
    interval = found.document.metrics["run"]["accuracy"]
    assert interval["lo"] <= interval["value"] <= interval["hi"]


def test_a_threshold_is_chosen_on_validation(model_store, model_result):
    arm = model_result.of("model/mlp")
    rule = ThresholdSpec(name="sensitivity", value=0.95)
    found = exported(model_store, model_result, "model/mlp", ensemble=True, threshold=rule).predictor.document
    joined = ensemble_logits(np.stack([run.logits.val for run in arm.done]).astype(np.float64))
    labels = arm.done[0].data.labels[arm.done[0].logits.val_rows]
    called = joined > found.threshold.logit
    assert called[labels == 1].mean() >= 0.95
    # no cut with that sensitivity has a higher specificity
    others = [joined > cut for cut in np.unique(joined) if (joined > cut)[labels == 1].mean() >= 0.95]
    assert (~called)[labels == 0].mean() >= max((~other)[labels == 0].mean() for other in others)
    assert found.threshold.probability == pytest.approx(expit(found.threshold.logit))
    fixed = exported(model_store, model_result, "model/mlp", threshold=ThresholdSpec(name="fixed", value=0.3))
    assert fixed.predictor.document.threshold.logit == pytest.approx(logit(0.3))


@pytest.mark.parametrize("how", [{"seed": 1}, {"ensemble": True}])
def test_the_figures_are_those_at_the_threshold(model_store, model_result, how):
    rule = ThresholdSpec(name="sensitivity", value=0.9)
    document = exported(model_store, model_result, "model/cnn", threshold=rule, **how).predictor.document
    runs = [run for run in model_result.of("model/cnn").done if how.get("seed") in (None, run.seed)]
    joined = ensemble_logits(np.stack([run.logits.test for run in runs]).astype(np.float64))
    labels = runs[0].data.labels[runs[0].logits.test_rows]
    called = joined > document.threshold.logit
    found = document.metrics["ensemble" if "ensemble" in how else "run"]
    assert found["sensitivity"]["value"] == pytest.approx(called[labels == 1].mean())
    assert found["specificity"]["value"] == pytest.approx((~called)[labels == 0].mean())
    assert found["accuracy"]["value"] == pytest.approx((called == labels).mean())
    assert found["val_sensitivity"]["value"] >= 0.9
    assert document.threshold.chosen
    fixed = exported(model_store, model_result, "model/cnn", threshold=ThresholdSpec(name="fixed", value=0.3), **how)
    assert "chosen on validation" not in card_of(fixed.predictor.document)
    assert "chosen on validation" in card_of(document)


def test_of_a_study_of_fewer_seeds_than_the_store_has_only_those_are_taken(model_store, model_result):
    with open_store(model_store) as store:
        study = study_of(store.study_document("small"), {"seeds": 2})
        result = analyse(study, store)
        assert export_model(result, store, "model/cnn", ensemble=True).predictor.seeds == (0, 1)
        with pytest.raises(UserError) as error:
            export_model(result, store, "model/cnn", seed=2)
    assert str(error.value) == "arm model/cnn: no weights of seed 2 are kept; expected one of 0, 1"


def test_the_temperature_is_the_best_of_validation(model_store, model_result):
    arm = model_result.of("model/mlp")
    found = exported(model_store, model_result, "model/mlp", seed=0).predictor
    run = arm.done[0]
    labels, logits = run.data.labels[run.logits.val_rows], run.logits.val.astype(np.float64)

    def loss(t):
        return np.logaddexp(0, np.where(labels == 1, -1, 1) * logits / t).mean()

    t = found.document.calibration.temperature
    assert loss(t) <= min(loss(t * 1.05), loss(t / 1.05))
    images = np.array(run.data.images[run.logits.test_rows])
    assert found.predictions(images).calibrated_NC[:, 1] == pytest.approx(
        expit(run.logits.test.astype(float) / t), abs=1e-6
    )


def test_an_image_unlike_the_training_images_is_flagged_with_its_basis(models, model_result):
    data = model_result.data[0]
    model = models["model/mlp", 0]
    alike = model.predictions(np.array(data.images[data.rows("test")])).unlike_N
    assert np.mean([one.flagged for one in alike]) <= 0.3
    strange = np.stack([np.zeros((8, 8), np.uint8), 255 - data.images[0] // 3, np.full((8, 8), 250, np.uint8)])
    found = model.predictions(strange).unlike_N
    assert all(one.flagged for one in found)
    assert found[0].basis.split(" ")[0] in model.document.likeness.features
    assert "training images" in found[0].basis
    assert found[0].distance > model.document.likeness.limit


def test_a_feature_that_never_varies_does_not_flag_every_other_image():
    flat = Likeness(
        features=["mean", "p1"],
        mean=[100.0, 0.0],
        precision=[[1 / 400, 0.0], [0.0, 1.0]],
        low=[60.0, 0.0],
        high=[140.0, 0.0],
        limit=3.0,
    )
    almost = np.full((8, 8), 100, np.uint8)
    almost[0, :2] = 1
    assert unlike(flat, almost).distance < 2
    assert LEAST_K.min() >= 0.01


def test_the_card_says_what_it_is_and_is_not(models, model_store, model_result, tmp_path):
    found = exported(model_store, model_result, "model/cnn", ensemble=True)
    write_model(tmp_path / "m", found.predictor.document, found.weights)
    card = (tmp_path / "m" / "README.md").read_text()
    assert card.startswith("# small, model/cnn\n\nFor research and teaching only. Not a medical device")
    for text in (
        "3 trained seeds, averaged",
        "| train | NORMAL |",
        "| auroc | test |",
        "8 × 8 pixels",
        "temperature of",
    ):
        assert text in card
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        "README.md", "model.json", "seed-0.safetensors", "seed-1.safetensors", "seed-2.safetensors",
    ]  # fmt: skip
    text = (tmp_path / "m" / "model.json").read_text()
    assert Document.model_validate_json(text) == found.predictor.document
    # a model is given away: no image's name goes with it
    assert not any(case.case in text or case.case in card for case in model_result.data[0].cases)


def test_the_same_model_is_the_same_zip(model_store, model_result, tmp_path):
    found = exported(model_store, model_result, "model/mlp", seed=1)
    for name in ("a.zip", "b.zip"):
        write_model(tmp_path / name, found.predictor.document, found.weights)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with pytest.raises(UserError) as error:
        write_model(tmp_path / "a.zip", found.predictor.document, found.weights)
    assert str(error.value) == (
        f"{tmp_path / 'a.zip'}: it exists; expected a new folder or .zip file; give another path"
    )


@pytest.fixture
def folder(model_store, model_result, tmp_path):
    found = exported(model_store, model_result, "model/mlp", seed=0)
    write_model(tmp_path / "m", found.predictor.document, found.weights)
    return tmp_path / "m"


def change(folder, *keys, value):
    document = json.loads((folder / "model.json").read_text())
    place = document
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    (folder / "model.json").write_text(json.dumps(document))


def refusal(path, **how):
    with pytest.raises(UserError) as error:
        load_model(path, **how)
    return str(error.value)


def test_what_is_wrong_with_a_model_is_said(folder, tmp_path):
    assert refusal(tmp_path / "nope") == (
        f"{tmp_path / 'nope'}: nothing there; expected a model: a folder or a .zip file; check the path"
    )
    assert refusal(tmp_path).startswith(f"{tmp_path}: no model.json; expected a model that doubleread export wrote")
    (tmp_path / "x.zip").write_text("hello")
    assert refusal(tmp_path / "x.zip") == (
        f"{tmp_path / 'x.zip'}: not a model's .zip file, or damaged; export it again"
    )
    weights = folder / "seed-0.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert refusal(folder) == f"{folder}, seed-0.safetensors: other content than was written; export it again"
    weights.write_bytes(content)
    change(folder, "format", value=0)
    assert refusal(folder).startswith(f"{folder}, model.json, format: not a model file of format 1, or damaged (")


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("members", 0, "weights"), "../../secret.safetensors"),
        (("members", 0, "weights"), "/etc/passwd"),
        (("recipe", "model"), {"name": "mlp", "hidden": [6], "init": "/etc/passwd"}),
        (("likeness", "features"), ["width"] * 9),
        (("recipe", "model"), {"name": "mlp", "hidden": [10**12]}),
        (("recipe", "batch_size"), -1),
        (("preprocessing", "image_size"), 10**9),
        (("threshold",), None),
        (("likeness", "mean"), [0.0]),
        (("surplus",), 1),
    ],
)
def test_a_document_that_lies_is_refused(folder, keys, value):
    change(folder, *keys, value=value)
    assert "not a model file of format 1, or damaged" in refusal(folder)


def test_a_document_that_asks_for_a_huge_network_takes_no_memory(folder):
    """Both layers together would have 90 GB."""
    change(folder, "recipe", "model", value={"name": "mlp", "hidden": [150_000, 150_000]})
    assert refusal(folder) == "seed 0: its weights are not those of this network; export it again"


def test_weights_that_are_no_numbers_are_refused(folder):
    path = folder / "seed-0.safetensors"
    tensors = load(path.read_bytes())
    next(iter(tensors.values()))[...] = np.nan
    path.write_bytes(save(tensors))
    change(folder, "members", 0, "sha256", value=sha256(path.read_bytes()))
    assert refusal(folder) == "seed 0: its weights are no finite numbers; export it again"


def test_a_model_never_decides_what_code_runs(folder, tmp_path, monkeypatch):
    (tmp_path / "trap.py").write_text("open('sprung', 'w')\nclass Net:\n    pass\n")
    monkeypatch.chdir(tmp_path)
    change(folder, "recipe", "model", value={"name": "trap:Net"})
    assert refusal(folder) == (
        f"{folder}: its network is code of your own, trap:Net; allow it to run with --own-code, if you know it"
    )
    assert refusal(folder, own_code=True) == (
        "model trap:Net: its file is not the one that it was trained with; go back to that"
    )
    assert not (tmp_path / "sprung").exists()


def test_a_zip_that_lies_is_refused(folder, tmp_path):
    def zipped(name, **more):
        with zipfile.ZipFile(tmp_path / name, "w", **more) as archive:
            for path in folder.iterdir():
                archive.write(path, path.name)
        return tmp_path / name

    assert load_model(zipped("good.zip")).seeds == (0,)
    # a packed member could be a bomb, and a model's are stored
    assert "or packed; expected at most" in refusal(zipped("packed.zip", compression=zipfile.ZIP_DEFLATED))
    (folder / "model.json").unlink()
    assert "no model.json" in refusal(zipped("without.zip"))
    (folder / "model.json").symlink_to(tmp_path / "good.zip")
    assert "no model.json" in refusal(folder)


def test_an_arm_or_a_seed_that_is_not_there(model_store, model_result):
    for how, message in (
        ({"arm": "model/ccn"}, 'arm model/ccn: not an arm of small; did you mean "model/cnn"?'),
        ({"arm": "model/cnn", "seed": 9}, "arm model/cnn: no weights of seed 9 are kept; expected one of 0, 1, 2"),
    ):
        with pytest.raises(UserError) as error:
            exported(model_store, model_result, **how)
        assert str(error.value) == message


def test_a_sealed_study_gives_a_model_without_test_scores(image_folder, tmp_path):
    root = trained(tmp_path / "runs", small_study(image_folder, **MODEL_STUDY, test="sealed"))
    for how in ({"seed": 0}, {"ensemble": True}):
        document = exported(root, result_of(root), "model/mlp", **how).predictor.document
        names = {name for group in document.metrics.values() for name in group}
        assert "val_accuracy" in names
        assert not {name for name in names if name in ("accuracy", "auroc", "sensitivity", "gap")}
        assert "its test scores are sealed, and left out" in document.remarks


def several(tmp_path, classes=3, colour=False, deep=False):
    """Write a data set of arrays of several classes."""
    for part, n in (("train", 24), ("test", 8)):
        (tmp_path / "images" / part).mkdir(parents=True)
        for label in range(classes):
            images = draw_images(n, label, part == "test", 8)
            images = images.astype(np.uint16) * 250 if deep else images
            images = np.repeat(images[..., None], 3, axis=3) if colour else images
            np.save(tmp_path / "images" / part / f"{label}.npy", images)
    raw = small_study(tmp_path / "images", **MODEL_STUDY)
    raw["base"] = {**raw["base"], "loss": "ce"}
    raw["data"] = {key: value for key, value in raw["data"].items() if key != "positive"}
    return raw


@pytest.mark.parametrize(
    ("classes", "colour", "deep", "intensity"),
    [(3, False, False, "standard"), (2, True, False, "image"), (2, False, True, "unit"), (3, True, True, "raw")],
)
def test_classes_colours_depths_and_intensities(tmp_path, classes, colour, deep, intensity):
    raw = several(tmp_path, classes, colour, deep)
    raw["data"] |= {"intensity": intensity, **({"channels": "rgb"} if colour else {})}
    root = trained(tmp_path / "runs", raw)
    result = result_of(root)
    for arm in ARMS:
        model = saved(tmp_path / f"{arm.split('/')[1]}.zip", root, result, arm, ensemble=True)
        run = result.of(arm).done[1]
        images = np.array(run.data.images[run.logits.test_rows])
        assert model.dtype == images.dtype
        assert np.array_equal(model.logits(images)[1], run.logits.test)
        found = model.predictions(images)
        assert found.mean_NC.shape == (len(images), classes)
        assert found.mean_NC.sum(axis=1) == pytest.approx(1)
        assert (found.calibrated_NC is None) == (classes > 2)
        needed("onnxruntime")
        assert write_onnx(tmp_path / f"{arm.split('/')[1]}.onnx", model, images[:7]) <= 1e-4
        assert onnx_says(tmp_path / f"{arm.split('/')[1]}.onnx", images)[0] == pytest.approx(found.mean_NC, abs=1e-4)


def onnx_says(path, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return session.run(None, {"pixels": images})


def test_onnx_has_scaling_threshold_and_calibration_inside(model_store, model_result, tmp_path):
    needed("onnxruntime")
    rule = ThresholdSpec(name="youden")
    found = exported(model_store, model_result, "model/cnn", ensemble=True, threshold=rule).predictor
    data = model_result.data[0]
    images = np.array(data.images[data.rows("val")])
    assert write_onnx(tmp_path / "m.onnx", found, images) <= 1e-4
    test = np.array(data.images[data.rows("test")])
    says, ours = onnx_says(tmp_path / "m.onnx", test), found.predictions(test)
    assert says[0] == pytest.approx(ours.mean_NC, abs=1e-5)
    assert says[1] == pytest.approx(ours.calibrated_NC, abs=1e-5)
    assert np.array_equal(says[2], ours.called_N)
    for batch in (1, 2, 7):
        assert onnx_says(tmp_path / "m.onnx", test[:batch])[0] == pytest.approx(says[0][:batch], abs=1e-5)


def test_an_onnx_graph_that_disagrees_is_not_written(model_store, model_result, tmp_path, monkeypatch):
    needed("onnxruntime")
    found = exported(model_store, model_result, "model/mlp", seed=0).predictor
    data = model_result.data[0]
    images = np.array(data.images[data.rows("val")])
    honest = onnx_file._graph_bytes

    def other(graph, images):
        graph._scalings = tuple(type(one)(one.shift + 40, one.factor) for one in graph._scalings)
        content = honest(graph, images)
        graph._scalings = found.scalings
        return content

    monkeypatch.setattr(onnx_file, "_graph_bytes", other)
    with pytest.raises(WorkFailed, match="the ONNX graph disagrees with PyTorch at a batch of 1: probabilities differ"):
        write_onnx(tmp_path / "m.onnx", found, images)
    assert not (tmp_path / "m.onnx").exists()


def test_a_model_of_your_own_is_read_where_its_file_is_the_same(image_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "my_saved_net.py"
    source.write_text(
        "from torch import nn\n\n\ndef net(channels, image_size, outputs):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size**2, outputs))\n"
    )
    raw = small_study(image_folder, seeds=1, experiments={"batch": {"factors": {"batch_size": [8, 16]}}})
    raw["base"] = {**raw["base"], "model": "my_saved_net:net"}
    root = trained(tmp_path / "runs", raw)
    found = exported(root, result_of(root), "batch/8")
    write_model(tmp_path / "m", found.predictor.document, found.weights)
    assert "--own-code" in refusal(tmp_path / "m")
    run = result_of(root).of("batch/8").done[0]
    model = load_model(tmp_path / "m", own_code=True)
    assert np.array_equal(model.logits(np.array(run.data.images[run.logits.test_rows]))[0], run.logits.test)
    source.write_text(source.read_text() + "# changed\n")
    assert "is not the one that it was trained with" in refusal(tmp_path / "m", own_code=True)


def test_a_cut_off_write_leaves_no_model(model_store, model_result, tmp_path, monkeypatch):
    found = exported(model_store, model_result, "model/mlp", seed=0)

    def full(_path, _content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("doubleread.model_file.package.write_into", full)
        with pytest.raises(OSError, match="No space left"):
            write_model(tmp_path / "m", found.predictor.document, found.weights)
    assert not (tmp_path / "m").exists()
    write_model(tmp_path / "m", found.predictor.document, found.weights)
    assert load_model(tmp_path / "m").seeds == (0,)
    shutil.rmtree(tmp_path / "m")
