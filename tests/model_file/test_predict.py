"""`export`, `predict` and `explain` as commands, and the same from Python."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import doubleread
from doubleread.errors import UserError
from doubleread.model_file import load_model, maps_of_worst, saliency_of
from doubleread.model_file.saliency import METHODS
from doubleread.store import open_store
from tests.conftest import draw_images, needed, small_study
from tests.images.dicom_files import write_dicom
from tests.model_file.conftest import MODEL_STUDY, result_of, trained


@pytest.fixture(autouse=True)
def _empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model(call, model_store, tmp_path):
    """An exported ensemble of the CNN."""
    code, out, _ = call("export", "small", "model/cnn", "--ensemble", "--store", model_store, "--out", "m.zip")
    assert (code, out.splitlines()[0]) == (0, "wrote m.zip: small, model/cnn, seeds 0, 1, 2, averaged")
    assert "doubleread predict m.zip IMAGE…" in out
    return tmp_path / "m.zip"


def test_export_as_json_with_a_graph(call, model_store):
    needed("onnxruntime")
    code, out, _ = call(
        "export", "small", "model/mlp", "--seed", 1, "--onnx", "m.onnx", "--threshold", "youden",
        "--store", model_store, "--json",
    )  # fmt: skip
    found = json.loads(out)
    assert code == 0
    assert found["model"] == "small-model-mlp"
    assert found["seeds"] == [1]
    assert found["files"] == ["model.json", "README.md", "seed-1.safetensors"]
    assert found["onnx"]["file"] == "m.onnx"
    assert found["onnx"]["largest_difference"] <= 1e-4
    assert load_model(Path("small-model-mlp")).document.threshold.rule == "youden"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--seed", 0, "--ensemble"), "--ensemble: it has no effect beside --seed; expected one of them; delete one"),
        (("--threshold", "best"), '--threshold: got "best"; expected 0.5 or another probability, youden,'),
        (("--seed", 7), "arm model/cnn: no weights of seed 7 are kept; expected one of 0, 1, 2"),
        (("--out", "m.zip"), "--out: m.zip exists; expected a new file or folder; give another path"),
    ],
)
def test_export_refuses(call, model, model_store, arguments, message):
    code, _, err = call("export", "small", "model/cnn", "--store", model_store, *arguments)
    assert code == 2
    assert err.startswith(f"doubleread: {message}")


def test_predict_prints_a_line_for_each_image(call, model, image_folder, model_result):
    code, out, err = call("predict", model, image_folder / "test")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0, err
    assert len(rows) == 20
    assert "For research and teaching only" in err
    arm = model_result.of("model/cnn")
    data = arm.done[0].data
    names = [data.cases[row].case for row in arm.done[0].logits.test_rows]
    stored = dict(zip(names, np.stack([run.logits.test for run in arm.done]).T, strict=True))
    for row in rows:
        logits = stored[row["image"].split("images", 1)[1].split("/", 1)[1]]
        assert float(row["probability"]) == pytest.approx(np.mean(1 / (1 + np.exp(-logits))), abs=1e-6)
        assert row["class"] == ("PNEUMONIA" if float(row["probability"]) > 0.5 else "NORMAL")
        assert float(row["lo"]) <= float(row["probability"]) <= float(row["hi"])
        assert row["seeds"] == "3"
        assert row["unlike"] in ("True", "False")


def test_bad_files_are_reported_and_the_rest_is_done(call, model, image_folder, tmp_path):
    good = next((image_folder / "test" / "NORMAL").glob("*.png"))
    (tmp_path / "bad.png").write_bytes(good.read_bytes()[:60])
    (tmp_path / "text.txt").write_text("hello")
    code, out, err = call("predict", model, good, "bad.png", "text.txt", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [row["error"] is None for row in rows] == [True, False, False]
    assert rows[0]["class"] in ("NORMAL", "PNEUMONIA")
    assert "2 of 3 images cannot be read, the rest is done:\n  bad.png: damaged" in err
    assert "  text.txt: not a JPEG, PNG or TIFF file" in err


def test_patterns_dicom_colour_and_a_file_to_write_to(call, model, tmp_path):
    needed("pydicom")
    pixels = draw_images(1, 1, 0, 20)[0]
    (tmp_path / "in" / "deep").mkdir(parents=True)
    write_dicom(tmp_path / "in" / "deep" / "IM1", pixels, PatientName="Canaryson^Jane")
    Image.fromarray(np.repeat(pixels[:, :, None], 3, axis=2)).save(tmp_path / "in" / "colour.png")
    Image.fromarray(pixels.astype(np.uint16) * 257).save(tmp_path / "in" / "sixteen.png")
    Image.fromarray(pixels).save(tmp_path / "in" / "=cmd.png")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    code, out, err = call("predict", model, "in", "in/*.png", "--out", "found.csv")
    assert (code, out) == (0, ""), err
    table = pd.read_csv(tmp_path / "found.csv")
    assert table["image"].tolist() == ["in/=cmd.png", "in/colour.png", "in/deep/IM1", "in/sixteen.png"]
    # one image in four files
    assert np.ptp(table["probability"]) < 0.02
    assert "Canaryson" not in (tmp_path / "found.csv").read_text()
    code, out, _ = call("predict", model, "in/=cmd.png")
    assert code == 0
    (tmp_path / "=x.png").write_bytes((tmp_path / "in" / "colour.png").read_bytes())
    code, out, _ = call("predict", model, "=x.png")
    assert out.splitlines()[1].startswith("'=x.png,")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nope.png",), "IMAGE: nothing at nope.png; expected files, folders or patterns; check the path"),
        (("*.jpg",), "IMAGE: nothing at *.jpg; expected files, folders or patterns; check the path"),
        (("empty",), "IMAGE: no images in empty; expected JPEG, PNG, TIFF or DICOM files"),
    ],
)
def test_nothing_to_read(call, model, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    code, _, err = call("predict", model, *arguments)
    assert (code, err.strip()) == (2, f"doubleread: {message}")


def test_from_python_the_same(call, model, image_folder):
    files = sorted((image_folder / "test" / "NORMAL").glob("*.png"))
    loaded = doubleread.load_model(model)
    table = doubleread.predict(loaded, files)
    arrays = doubleread.predict(loaded, [np.asarray(Image.open(path)) for path in files])
    _, out, _ = call("predict", model, *files)
    printed = pd.read_csv(io.StringIO(out))
    assert np.array_equal(table["probability"], arrays["probability"])
    assert table["probability"].to_numpy() == pytest.approx(printed["probability"].to_numpy(), abs=1e-12)
    assert doubleread.predict(loaded, files[0])["class"].tolist() == table["class"].tolist()[:1]
    bad = doubleread.predict(loaded, [np.zeros((4, 4), np.float32), files[0]])
    assert bad["error"].tolist()[0] == "float32 pixels; expected uint8 or uint16"
    assert bad["error"].isna().tolist() == [False, True]


def test_many_batches_are_in_order(model):
    loaded = load_model(model)
    images = np.concatenate([draw_images(130, label, 5) for label in (0, 1)])
    table = doubleread.predict(loaded, list(images))
    alone = [doubleread.predict(loaded, [images[place]])["probability"][0] for place in (0, 99, 100, 259)]
    assert table["image"].tolist()[100] == "array 100"
    assert table["probability"].to_numpy()[[0, 99, 100, 259]] == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_explain_writes_a_picture_with_its_check(call, model, image_folder, tmp_path, method):
    needed("captum")
    files = sorted((image_folder / "test" / "NORMAL").glob("*.png"))[:2]
    (tmp_path / "bad.png").write_text("no")
    code, out, err = call("explain", model, *files, "bad.png", "--out", "maps", "--method", method, "--json")
    found = json.loads(out)
    assert code == 1
    assert "1 of 3 images cannot be read, the rest is done:\n  bad.png: not a JPEG, PNG or TIFF file" in err
    assert [one["method"] for one in found] == [method] * 2
    for one in found:
        with Image.open(tmp_path / one["picture"]) as picture:
            assert picture.width > 600
        assert one["towards"] == one["called"]
        assert "untrained" in one["check"] or "one value" in one["check"]


@pytest.mark.parametrize("method", METHODS)
def test_weights_that_differ_change_the_map(model, image_folder, method):
    needed("captum")
    loaded = load_model(model)
    pixels = loaded.prepared(next((image_folder / "test" / "PNEUMONIA").glob("*.png")).read_bytes())
    maps = saliency_of(loaded, pixels, 1, method)
    assert maps.trained.shape == maps.untrained.shape == (8, 8)
    assert 0 <= maps.trained.min() <= maps.trained.max() <= 1
    assert not np.allclose(maps.trained, maps.untrained)


def test_explain_refuses(call, model, model_store, image_folder):
    needed("captum")
    image = next((image_folder / "test" / "NORMAL").glob("*.png"))
    assert call("export", "small", "model/mlp", "--store", model_store, "--out", "mlp")[0] == 0
    for arguments, message in (
        (("mlp", image, "--method", "grad-cam"), "--method grad-cam: the model has no convolution; use integrated"),
        (("mlp", image, "--method", "lime"), '--method: got "lime"; expected one of integrated-gradients, grad-cam'),
        (("mlp", image, "--class", "NORMLA"), '--class: got "NORMLA"; did you mean "NORMAL"?'),
    ):
        code, _, err = call("explain", *arguments, "--out", "maps")
        assert code == 2
        assert err.startswith(f"doubleread: {message}")


def test_maps_in_the_report(call, model_store, tmp_path):
    needed("captum")
    arguments = ("report", "small", "--store", model_store, "--html", "r.html")
    assert call(*arguments)[0] == 0
    assert "Maps of the worst test cases" not in (tmp_path / "r.html").read_text()
    code, _, err = call(*arguments, "--explain", "occlusion")
    page = (tmp_path / "r.html").read_text()
    assert code == 0, err
    assert "Maps of the worst test cases" in page
    assert "is no evidence of what an image shows or why" in page
    assert page.count('alt="map of untrained weights"') == 6
    code, _, err = call("report", "small", "--store", model_store, "--explain", "occlusion")
    assert (code, err.strip()) == (2, "doubleread: --explain: it has no effect without --html; add --html FILE")


def test_maps_of_arms_with_sets_of_their_own(call, image_folder, tmp_path):
    needed("captum")
    raw = small_study(image_folder, seeds=1, experiments={"size": {"factors": {"data.image_size": [8, 12]}}})
    root = trained(tmp_path / "runs", raw)
    result = result_of(root)
    with open_store(root) as store:
        maps = maps_of_worst(result, store, "integrated-gradients")
    assert len(maps) == 6
    for one in maps:
        assert one.pixels.shape == one.saliency.trained.shape == ((8, 8) if one.arm == "size/8" else (12, 12))
    assert {one.arm for one in maps} == {"size/8", "size/12"} or len({one.arm for one in maps}) == 1


def test_maps_of_sealed_images_are_refused(call, image_folder, tmp_path):
    root = trained(tmp_path / "runs", small_study(image_folder, **MODEL_STUDY, test="sealed"))
    with open_store(root) as store, pytest.raises(UserError) as error:
        maps_of_worst(result_of(root), store, "occlusion")
    assert str(error.value) == "--explain: the test images are sealed; leave it out, or --unseal"


def test_class_names_with_commas_and_quotes(call, tmp_path):
    for part, n in (("train", 20), ("test", 6)):
        for label, name in enumerate(("a, b", 'say "c"', "d")):
            (tmp_path / "in" / part / name).mkdir(parents=True)
            for i, pixels in enumerate(draw_images(n, label, part == "test")):
                Image.fromarray(pixels).save(tmp_path / "in" / part / name / f"{i}.png")
    raw = small_study(tmp_path / "in", seeds=1, experiments={"batch": {"factors": {"batch_size": [8, 16]}}})
    raw["base"] = {**raw["base"], "loss": "ce"}
    raw["data"] = {key: value for key, value in raw["data"].items() if key != "positive"}
    root = trained(tmp_path / "runs", raw)
    assert call("export", "small", "batch/8", "--store", root, "--out", "m")[0] == 0
    code, out, _ = call("predict", "m", "in/test")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert {row["class"] for row in rows} <= {"a, b", 'say "c"', "d"}
    assert all(None not in row for row in rows)
    total = [sum(float(row[f"p_{name}"]) for name in ("a, b", 'say "c"', "d")) for row in rows]
    assert total == pytest.approx([1] * 18)


def test_a_model_that_is_not_there(call):
    with pytest.raises(UserError, match="nothing there"):
        doubleread.load_model("nope")
    code, _, err = call("predict", "nope", "x.png")
    assert (code, err.strip()) == (
        2,
        "doubleread: nope: nothing there; expected a model: a folder or a .zip file; check the path",
    )
