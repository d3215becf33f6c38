"""What `export` says of the seed that it takes, of the calibration, and of names that would mislead."""

import json

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from doubleread.errors import UserError
from doubleread.model_file import export_model, load_model, write_model
from doubleread.model_file.card import card_of
from doubleread.store import open_store
from tests.conftest import small_study
from tests.model_file.conftest import MODEL_STUDY, result_of, trained


def exported(root, result, arm="model/cnn", **how):
    with open_store(root) as store:
        return export_model(result, store, arm, **how)


@pytest.mark.parametrize("how", [{"seed": 1}, {"ensemble": True}])
def test_what_calibration_does_on_test_is_what_scikit_learn_says(model_store, model_result, how):
    document = exported(model_store, model_result, **how).predictor.document
    runs = [run for run in model_result.of("model/cnn").done if how.get("seed") in (None, run.seed)]
    labels = runs[0].data.labels[runs[0].logits.test_rows]
    chance = np.mean([1 / (1 + np.exp(-run.logits.test.astype(np.float64))) for run in runs], axis=0)
    calibrated = 1 / (1 + ((1 - chance) / chance) ** (1 / document.calibration.temperature))
    found = document.metrics["calibration"]
    assert set(found) == {"log_loss", "brier"}
    for name, score in (("log_loss", log_loss), ("brier", brier_score_loss)):
        assert found[name] == {
            "before": pytest.approx(score(labels, chance), rel=1e-9),
            "after": pytest.approx(score(labels, calibrated), rel=1e-9),
        }
    loss, brier = found["log_loss"], found["brier"]
    assert (
        f" Of the test images the log loss is {loss['before']:.3f} before it and {loss['after']:.3f} after, "
        f"the Brier score {brier['before']:.3f} and {brier['after']:.3f}; lower is better.\n"
    ) in card_of(document)


def test_of_a_sealed_study_calibration_has_no_test_score(image_folder, tmp_path):
    root = trained(tmp_path / "runs", small_study(image_folder, **MODEL_STUDY, test="sealed"))
    for how in ({"seed": 0}, {"ensemble": True}):
        document = exported(root, result_of(root), **how).predictor.document
        assert document.calibration is not None
        assert "calibration" not in document.metrics
        assert "Of the test images" not in card_of(document)


def test_the_seed_that_nobody_asked_for_is_accounted_for(call, model_store, model_result, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    best = max(model_result.of("model/cnn").done, key=lambda run: (run.metrics["val_auroc"], -run.seed)).seed
    command = ("export", "small", "model/cnn", "--store", model_store, "--out")
    for name, more, said in (
        ("a", (), f"seed {best} (the highest validation AUROC of 3 seeds)"),
        ("b", ("--seed", 1), "seed 1"),
        ("c", ("--ensemble",), "seeds 0, 1, 2, averaged"),
    ):
        code, out, _ = call(*command, name, *more)
        assert (code, out.splitlines()[0]) == (0, f"wrote {name}: small, model/cnn, {said}")


def test_where_one_seed_is_kept_it_is_the_only_one(image_folder, tmp_path):
    root = trained(tmp_path / "runs", small_study(image_folder, **{**MODEL_STUDY, "seeds": 1}))
    assert exported(root, result_of(root)).why == "the only seed whose weights are kept"


@pytest.mark.parametrize(
    ("name", "ending", "instead"),
    [("m.tar.gz", ".gz", "m.zip"), ("m.TGZ", ".TGZ", "m.zip"), ("m.7z", ".7z", "m.zip"), ("a.b.xz", ".xz", "a.b.zip")],
)
def test_another_archive_is_refused_and_no_folder_made(call, model_store, tmp_path, monkeypatch, name, ending, instead):
    monkeypatch.chdir(tmp_path)
    code, _, err = call("export", "small", "model/cnn", "--store", model_store, "--out", name)
    assert (code, err.strip()) == (
        2,
        f"doubleread: --out: {name} ends in {ending}; expected a folder or a .zip file; try {instead}",
    )
    assert not (tmp_path / name).exists()


def test_from_python_it_is_refused_too(model_store, model_result, tmp_path):
    found = exported(model_store, model_result, seed=0)
    with pytest.raises(UserError) as error:
        write_model(tmp_path / "m.tar", found.predictor.document, found.weights)
    assert str(error.value) == (
        f"{tmp_path / 'm.tar'}: m.tar ends in .tar; expected a folder or a .zip file; try {tmp_path / 'm.zip'}"
    )
    write_model(tmp_path / "lr-0.1", found.predictor.document, found.weights)
    assert load_model(tmp_path / "lr-0.1").seeds == (0,)


def test_a_model_of_a_later_format_and_a_graph(model_store, model_result, tmp_path):
    found = exported(model_store, model_result, seed=0)
    write_model(tmp_path / "m", found.predictor.document, found.weights)
    place = tmp_path / "m" / "model.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "format": 99, "surplus": 1}))
    with pytest.raises(UserError) as error:
        load_model(tmp_path / "m")
    assert str(error.value) == (
        f"{tmp_path / 'm'}, model.json: format 99, of another version; this program reads format 1; update doubleread"
    )
    (tmp_path / "m.onnx").write_bytes(b"\x08\x0a\x12\x07pytorch")
    with pytest.raises(UserError) as error:
        load_model(tmp_path / "m.onnx")
    assert str(error.value) == (
        f"{tmp_path / 'm.onnx'}: an ONNX graph; expected the folder or .zip that export wrote; give that, or run the"
        " graph with onnxruntime"
    )
