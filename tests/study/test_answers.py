"""Every answer of the study file in full: the place, what was found, what is allowed, the next step."""

import copy
import json

import pytest

from doubleread.study import (
    document_of,
    load_claims,
    load_study,
    parse_overrides,
    parse_study,
    study_of,
    variants_of,
)
from doubleread.study.problems import show
from doubleread.study.threshold_spec import default_thresholds
from doubleread.study.variants import alternative_text
from doubleread.study.yaml_file import MAX_BYTES
from tests.conftest import small_study
from tests.refusals import refusal


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
        (
            {"optimizer": {**ADAM, "mometum": 0.9}},
            'optimizer.mometum: unknown key "mometum"; expected one of betas, eps, lr, name, weight_decay',
        ),
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
    assert refusal(parsed, base=in_base(**base)) == f"s, base.{expected}"


def test_keys_outside_of_a_part():
    assert refusal(parsed, sedes=3) == 's, sedes: unknown key "sedes"; did you mean "seeds"?'
    assert refusal(parsed, epochs=3) == 's, epochs: unknown key "epochs"; did you mean "base.epochs"?'
    inside = {"factors": {"loss": ["bce", "ce"]}}
    # an experiment may be called as one of its own keys is
    for name in ("b", "title"):
        where = f"s, experiments.{name}."
        assert refusal(parsed, experiments={name: {**inside, "epochs": 3}}) == (
            f'{where}epochs: unknown key "epochs"; did you mean "base.epochs"?'
        )
        assert refusal(parsed, experiments={name: {**inside, "titel": "x"}}) == (
            f'{where}titel: unknown key "titel"; did you mean "title"?'
        )


def test_what_a_factor_varies_is_not_set():
    assert refusal(parsed, {"base.batch_size": 4}) == (
        "--set base.batch_size: batch_size is a factor of experiment batch; edit a copy of the study"
    )
    assert refusal(parsed, {"base.loss.name": "ce"}) == (
        "--set base.loss.name: loss is a factor of experiment loss; edit a copy of the study"
    )
    assert refusal(parsed, {"experiments.batch": {}}) == (
        "--set experiments.batch: experiments cannot be overridden; edit a copy of the study"
    )
    by_data = {"size": {"factors": {"data.image_size": [8, 16]}}}
    assert refusal(parsed, {"data.image_size": 4}, experiments=by_data) == (
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
    assert refusal(parsed, experiments=experiments).startswith(f"s, experiments.g.reported.accuracy{expected}")


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
    assert refusal(load_claims, path, ["x", "y"]).startswith(f"claims.yaml, {expected}")


def test_where_claims_come_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refusal(load_claims, "none.yaml", ["x"]) == (
        "none.yaml: no such file; expected a file of claims, or a study file; check the path"
    )
    raw = small_study("phantom")
    raw["experiments"]["batch"]["claims"] = [{"id": "a", "metric": "accuracy", "better": 4, "than": 8}]
    (tmp_path / "study.yaml").write_text(json.dumps(raw))
    (claim,) = load_claims("study.yaml", ["batch/4", "batch/8"])
    assert claim.arms == ("batch/4", "batch/8")
    assert refusal(load_claims, "study.yaml", ["b", "a"]) == (
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
    assert refusal(load_study, "none.yaml") == (
        "none.yaml: no such study; expected a file, or one of report-a, report-b, strong; check the path"
    )


def test_how_alternatives_are_called():
    assert alternative_text("raw") == "raw"
    assert alternative_text(0.001) == "0.001"
    assert alternative_text({"label": "slow", "name": "adam"}) == "slow"
    assert alternative_text({"label": "slow", "lr": 0.1}) == "slow"
    assert alternative_text({"name": "adam", "lr": 0.1}) == "adam"
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


NOBODYS = "~nobody-is-called-so/x"
SHAPES = [
    ({"data": 5}, "data: got 5; expected a mapping"),
    ({"data": "source"}, 'data: got "source"; expected a mapping'),
    ({"base": 5}, "base: got 5; expected a mapping"),
    ({"experiments": 5}, "experiments: got 5; expected a mapping"),
    ({"experiments": {"a": 5}}, "experiments.a: got 5; expected a mapping"),
    ({"experiments": {"a": {"factors": 5}}}, "experiments.a.factors: got 5; expected a mapping"),
    (
        {"experiments": {"a": {"factors": {"data.source": "films"}}}},
        'experiments.a.factors.data.source: got "films"; expected a list of one level or more',
    ),
    (
        {"experiments": {"a": {"factors": {"model.init": [5]}}}},
        "experiments.a.factors.model.init: got 5; expected a text of 1 to 2,000 characters",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), SHAPES, ids=[text for _, text in SHAPES])
def test_a_file_of_another_shape(tmp_path, changes, expected):
    path = tmp_path / "study.yaml"
    path.write_text(json.dumps(small_study("phantom", **changes)))
    assert refusal(load_study, path) == f"study.yaml, {expected}"
    # an override looks at factors before anything is checked
    set_before = refusal(load_study, path, overrides={"seeds": 3})
    assert set_before == f"study.yaml, {expected}"


def test_paths_that_cannot_be():
    assert refusal(load_study, NOBODYS).startswith("STUDY: not a usable path (")
    raw = small_study(NOBODYS)
    assert refusal(load_study, raw).startswith("data.source: not a usable path (")
    too_long = small_study("x" * 300)
    assert refusal(load_study, too_long) == "data.source: not a usable path (File name too long); give another path"
    raw = small_study("phantom")
    raw["base"]["model"] = {"name": "linear", "init": NOBODYS}
    assert refusal(load_study, raw).startswith("model.init: not a usable path (")


def test_weights_that_an_experiment_starts_from_are_beside_its_file(tmp_path):
    raw = small_study("phantom")
    raw["experiments"] = {
        "one": {"factors": {"batch_size": [4, 8]}, "base": {"model.init": "a.safetensors"}},
        "two": {"factors": {"batch_size": [4, 8]}, "base": {"model": {"name": "linear", "init": "b.safetensors"}}},
    }
    (tmp_path / "study.yaml").write_text(json.dumps(raw))
    study = load_study(tmp_path / "study.yaml")
    found = {arm.experiment: arm.recipe.model.init for arm in study.arms}
    assert found == {"one": str(tmp_path / "a.safetensors"), "two": str(tmp_path / "b.safetensors")}


def test_a_mapping_with_paths_is_not_changed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "films").mkdir()
    raw = small_study("films", experiments={"d": {"factors": {"data.source": ["films", "phantom"]}}})
    before = copy.deepcopy(raw)
    study = load_study(raw)
    assert raw == before
    assert [arm.data.source for arm in study.arms] == [str(tmp_path / "films"), "phantom"]


def test_the_built_in_studies_are_called_by_their_names():
    for name in ("report-a", "report-b", "strong"):
        study = load_study(name)
        assert (study.name, study.place, study.path) == (name, name, None)
    assert refusal(load_study, "report-a", overrides={"base.epochs": 0}).startswith("--set base.epochs: got 0")


def test_a_store_keeps_enough_to_have_a_study_again():
    study = parse_study(small_study("phantom"), place="s.yaml", path="/there/s.yaml", overrides={"base.epochs": 7})
    document = document_of(study)
    assert document == {
        "file": study.raw, "overrides": {"base.epochs": 7}, "place": "s.yaml", "path": "/there/s.yaml"
    }  # fmt: skip
    assert study_of(document) == study
    again = study_of(document, {"data.intensity": "raw"})
    assert (again.base.epochs, again.data.intensity) == (7, "raw")
    assert again.overrides == {"base.epochs": 7, "data.intensity": "raw"}
    # stores of before paths were kept
    assert study_of({key: document[key] for key in ("file", "overrides", "place")}).path is None


def test_a_text_that_is_large_is_not_read(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("a: " + "x" * (MAX_BYTES + 1))
    assert refusal(load_study, path) == f"{path}: the file has more than 1,048,576 bytes; expected a smaller file"


def test_a_value_of_the_command_line_that_is_no_yaml():
    assert refusal(parse_overrides, ["base.epochs=[1"]) == (
        "--set base.epochs, line 1: not YAML (expected ',' or ']', but got '<stream end>'); mend the line"
    )
    assert parse_overrides([" a.b = {c: 1}", "d=", "e=x=y"]) == {"a.b": {"c": 1}, "d": None, "e": "x=y"}
    assert refusal(parse_overrides, [" =5"]).startswith("--set  =5: no value; expected key=value")


def test_thresholds_of_a_study_that_names_none():
    assert default_thresholds() == parsed().thresholds
    assert [rule.name for rule in default_thresholds()] == ["youden", "sensitivity"]
    assert default_thresholds()[1].value == 0.95


def test_what_a_level_may_be_called():
    def of(label):
        levels = [{"label": label, "name": "bce"}, {"label": "other", "name": "ce"}]
        return parsed(experiments={"e": {"factors": {"loss": levels}}}).arms[0].name

    assert (of("x"), of("y" * 100), of(0.5)) == ("e/x", "e/" + "y" * 100, "e/0.5")
    for label in ("", "y" * 101, "a\nb", [1], None):
        assert refusal(of, label) == (
            f"s, experiments.e.factors.loss: label {show(label)}; expected a short text or a number"
        )
