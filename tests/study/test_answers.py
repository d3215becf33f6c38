"""Every answer of the study file in full: the place, what was found, what is allowed, the next step."""

import json

import pytest

from doubleread.errors import UserError
from doubleread.study import load_claims, load_study, parse_study, variants_of
from doubleread.study.variants import alternative_text
from tests.conftest import small_study


def message(work, *given, **more):
    with pytest.raises(UserError) as error:
        work(*given, **more)
    return str(error.value)


def parsed(overrides=None, **changes):
    return parse_study(small_study("phantom", **changes), place="s", overrides=overrides)


def in_base(**changes):
    return {**small_study("phantom")["base"], **changes}


ADAM = {"name": "adam", "lr": 0.1}
STEP = {"name": "step", "every": 1}


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ({"optimizer": {**ADAM, "momentum": 0.9}}, "optimizer.momentum: momentum has no effect with adam; delete it"),
        ({"optimizer": {**ADAM, "mometum": 0.9}}, 'optimizer.mometum: unknown key "mometum"; expected one of'),
        (
            {"optimizer": {"name": "sgd", "lr": 0.1, "mometum": 0.9}},
            'optimizer.mometum: unknown key "mometum"; did you mean "momentum"?',
        ),
        ({"schedule": {**STEP, "gama": 0.5}}, 'schedule.gama: unknown key "gama"; did you mean "gamma"?'),
        ({"augmentation": {"shitf": 5}}, 'augmentation.shitf: unknown key "shitf"; did you mean "shift"?'),
        ({"loss": "bec"}, 'loss: got "bec"; did you mean "bce"?'),
        ({"model": {"name": "mlp", "hiden": [3]}}, 'model.hiden: unknown key "hiden"; did you mean "hidden"?'),
    ],
)
def test_keys_of_a_part(base, expected):
    assert message(parsed, base=in_base(**base)).startswith(f"s, base.{expected}")


def test_what_a_factor_varies_is_not_set():
    assert message(parsed, {"base.batch_size": 4}) == (
        "--set base.batch_size: batch_size is a factor of experiment batch; edit a copy of the study"
    )
    assert message(parsed, {"base.loss.name": "ce"}) == (
        "--set base.loss.name: loss is a factor of experiment loss; edit a copy of the study"
    )
    assert message(parsed, {"experiments.batch": {}}) == (
        "--set experiments.batch: experiments cannot be overridden; edit a copy of the study"
    )
    by_data = {"size": {"factors": {"data.image_size": [8, 16]}}}
    assert message(parsed, {"data.image_size": 4}, experiments=by_data) == (
        "--set data.image_size: data.image_size is a factor of experiment size; edit a copy of the study"
    )
    # what only begins alike is another path
    assert parsed({"base.batch_size": 4}, experiments={"b": {"factors": {"epochs": [1, 2]}}}).base.batch_size == 4


GRID = {"g": {"factors": {"loss": ["bce", "ce"], "epochs": [1, 2]}}}


ENTRY = "expected {arm: {factor: label, …}, value: number}"
ONE = {"loss": "bce", "epochs": 1}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (3, f": got 3; {ENTRY}"),
        ({"arm": "bce", "value": 0.5}, f': got {{"arm": "bce", "value": 0.5}}; {ENTRY}'),
        ({"arm": ONE}, f': got {{"arm": {{"loss": "bce", "epochs": 1}}}}; {ENTRY}'),
        (
            {"arm": {**ONE, "epochs": 9}, "value": 0.5},
            ': no arm {"loss": "bce", "epochs": 9}; expected one of bce,1, bce,2, ce,1, ce,2',
        ),
        (
            {"arm": ONE, "value": "half"},
            '.{"loss": "bce", "epochs": 1}: got "half"; expected a number, or a text such as',
        ),
    ],
)
def test_reported_numbers_of_a_grid(entry, expected):
    experiments = {"g": {**GRID["g"], "reported": {"accuracy": [entry]}}}
    assert message(parsed, experiments=experiments).startswith(f"s, experiments.g.reported.accuracy{expected}")


CLAIM = "{id: a, metric: accuracy, better: x, than: y}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"arms: {{z: {{f: 1}}}}\nclaims: [{CLAIM}]",
            "arms.z: no arm z; expected one of x, y; name it as the logits do",
        ),
        (
            f"arms: {{x: {{f: 1}}}}\nclaims: [{CLAIM}]",
            "arms: arm y has no levels; expected levels for every arm; add them",
        ),
        (
            f"arms: {{x: {{f: 1}}, y: {{g: 1}}}}\nclaims: [{CLAIM}]",
            "arms: arms with other factors than the rest; expected the same factors for each; mend them",
        ),
        (
            f"arms: {{x: {{}}, y: {{}}}}\nclaims: [{CLAIM}]",
            "arms: arms with other factors than the rest; expected the same factors for each; mend them",
        ),
        (f"margin: {{acc: 0.1}}\nclaims: [{CLAIM}]", "margin.acc: "),
        (f"claims: [{CLAIM}, {CLAIM}]", ""),
        (
            "claims: [{id: a, metric: accuracy, better: x, than: y, experiment: e}]",
            "claims.a.experiment: no arm begins with e/; expected one of x, y",
        ),
    ],
)
def test_a_file_of_claims(tmp_path, text, expected):
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    assert message(load_claims, path, ["x", "y"]).startswith(f"claims.yaml, {expected}")


def test_where_claims_come_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message(load_claims, "none.yaml", ["x"]) == (
        "none.yaml: no such file; expected a file of claims, or a study file; check the path"
    )
    raw = small_study("phantom")
    raw["experiments"]["batch"]["claims"] = [{"id": "a", "metric": "accuracy", "better": 4, "than": 8}]
    (tmp_path / "study.yaml").write_text(json.dumps(raw))
    (claim,) = load_claims("study.yaml", ["batch/4", "batch/8"])
    assert claim.arms == ("batch/4", "batch/8")
    assert message(load_claims, "study.yaml", ["b", "a"]) == (
        "study.yaml: no claim about the arms of the logits; they are a, b; name arms as there"
    )
    # an arm without levels of its own is its own level, less the experiment's name
    (tmp_path / "c.yaml").write_text("claims: [{id: a, metric: accuracy, best: fast, experiment: e}]")
    (claim,) = load_claims("c.yaml", ["e/fast", "e/slow", "other"])
    assert (claim.experiment, set(claim.arms)) == ("e", {"e/fast", "e/slow"})


def test_paths_of_a_study_file_are_those_beside_it(tmp_path, monkeypatch):
    for name in ("films", "more"):
        (tmp_path / "study" / name).mkdir(parents=True)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    raw = small_study("films")
    raw["base"]["model"] = {"name": "mlp", "hidden": [4], "init": "start.safetensors"}
    raw["experiments"] = {
        "data": {"factors": {"data.source": ["films", "more", "gone", "here", "phantom"]}},
        "model": {"factors": {"model": [{"name": "mlp", "hidden": [4], "init": "other.safetensors"}, "linear"]}},
        "init": {"factors": {"model.init": ["a.safetensors", "/b.safetensors"]}, "base": {"epochs": 1}},
    }
    (tmp_path / "study" / "study.yaml").write_text(json.dumps(raw))
    study = load_study("study/study.yaml")
    beside = tmp_path / "study"
    assert study.data.source == str(beside / "films")
    sources = [arm.data.source for arm in study.experiments[0].arms]
    # what is nowhere is meant beside the file; what is only in the present folder, there
    assert sources == [str(beside / "films"), str(beside / "more"), str(beside / "gone"), "here", "phantom"]
    assert study.base.model.init == str(beside / "start.safetensors")
    assert study.experiments[1].arms[0].recipe.model.init == str(beside / "other.safetensors")
    assert [arm.recipe.model.init for arm in study.experiments[2].arms] == [
        str(beside / "a.safetensors"),
        "/b.safetensors",
    ]
    assert (study.place, study.path) == ("study.yaml", str(beside / "study.yaml"))


def test_a_study_that_is_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message(load_study, "none.yaml") == (
        "none.yaml: no such study; expected a file, or one of report-a, report-b, strong; check the path"
    )


def test_how_alternatives_are_called():
    assert alternative_text("raw") == "raw"
    assert alternative_text(0.001) == "0.001"
    assert alternative_text({"label": "slow", "name": "adam"}) == "slow"
    assert alternative_text({"name": "adam", "lr": 0.1}) == alternative_text({"name": "adam", "lr": 0.1})
    assert alternative_text({"val": 0.2, "by": "case"}) == "val 0.2, by case"


def test_an_alternative_of_a_level_keeps_the_other_factors():
    raw = small_study("phantom", assumptions={
        "it": {"path": "optimizer.lr", "assumed": 0.1, "alternatives": [0.5], "because": "not stated"}
    })  # fmt: skip
    levels = [{"label": "quick", "name": "adam", "lr": 0.1}, {"label": "slow", "name": "adam", "lr": 0.01}]
    raw["experiments"] = {"g": {"factors": {"optimizer": levels, "batch_size": [4, 8]}}}
    (found,) = variants_of(parse_study(raw, place="s"))
    assert found.label == "it=0.5"
    assert {old: (new.recipe.optimizer.lr, new.recipe.batch_size) for old, new in found.arms.items()} == {
        "g/quick,4": (0.5, 4),
        "g/quick,8": (0.5, 8),
    }
    assert found.arms["g/quick,4"].name == "g/quick,4@it=0.5"
