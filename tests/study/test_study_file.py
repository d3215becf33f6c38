"""The study file: every mistake is answered with its place, what was found and what is allowed."""

import copy
import json

import pytest

from doubleread.stats import Looks, look_seeds
from doubleread.study import load_study, parse_overrides, parse_study, yaml_file
from doubleread.study.yaml_file import parse_mapping
from tests.conftest import small_study
from tests.refusals import refusal


def changed(path, value):
    """Return the small study with one value set, by a path with slashes (keys may hold dots)."""
    study = small_study("phantom")
    *way, last = path.split("/")
    node = study
    for key in way:
        node = node[key]
    node[last] = value
    return study


MISTAKES = [
    ("base/batchsize", 8, 'base.batchsize: unknown key "batchsize"; did you mean "batch_size"?'),
    ("base/batch_size", 0, "base.batch_size: got 0; expected a whole number from 1 to 1,000,000"),
    ("base/batch_size", True, "base.batch_size: got true; expected a whole number from 1 to 1,000,000"),
    ("base/batch_size", 8.5, "base.batch_size: got 8.5; expected a whole number from 1 to 1,000,000"),
    ("base/epochs", "ten", 'base.epochs: got "ten"; expected a whole number from 1 to 1,000,000'),
    ("base/optimizer", {"name": "adam", "lr": -1}, "base.optimizer.lr: got -1; expected a number > 0"),
    ("base/optimizer", {"name": "adam"}, "base.optimizer.lr: missing; add it"),
    (
        "base/optimizer",
        {"name": "adam", "lr": 1e-3, "momentum": 0.9},
        "base.optimizer.momentum: momentum has no effect with adam; delete it",
    ),
    ("base/optimizer", {"name": "adm", "lr": 1}, 'base.optimizer: got "adm"; did you mean "adam"?'),
    ("base/optimizer", 5, "base.optimizer: got 5; expected a name, or {name: …} with its options"),
    ("base/model", "mlp", "base.model.hidden: missing; add it"),
    ("base/model", {"name": "mpl", "hidden": [4]}, 'base.model: got "mpl"; did you mean "mlp"?'),
    (
        "base/model",
        {"name": "mlp", "hidden": [4, 0]},
        "base.model.hidden.1: got 0; expected a whole number from 1 to 1,000,000",
    ),
    (
        "base/optimizer",
        {"name": "sgd", "lr": 0.1, "momentum": 0, "nesterov": True},
        'base.optimizer: got {"name": "sgd", "lr": 0.1, "momentum": 0, "nesterov": true}; expected a momentum above 0'
        " beside nesterov",
    ),
    (
        "base/model",
        {"name": "mlp", "hidden": [], "dropout": 0.5},
        'base.model: got {"name": "mlp", "hidden": [], "dropout": 0.5}; expected no dropout, which has no effect'
        " without a hidden layer",
    ),
    ("base/schedule", {"name": "step", "gamma": 0.1}, "base.schedule.every: missing; add it"),
    ("base/schedule", {"name": "cosine", "per": "step"}, 'base.schedule.per: got "step"; expected epoch or batch'),
    (
        "base/loss",
        {"name": "bce", "class_weights": [1]},
        "base.loss.class_weights: got [1]; expected none, balanced, or a number > 0 for each class, negative class"
        " first",
    ),
    ("data/splt", 1, 'data.splt: unknown key "splt"; did you mean "split"?'),
    ("data/image_size", 2, "data.image_size: got 2; expected a whole number from 4 to 4096"),
    ("data/intensity", "half", 'data.intensity: got "half"; expected raw, unit, standard or image'),
    ("data/split", "gven", 'data.split: got "gven"; expected given, or {val, by, seed}'),
    (
        "data/split",
        {"val": 2, "by": "case", "seed": 0},
        "data.split.val: got 2; expected a number between 0 and 1",
    ),
    (
        "data/split",
        {"val": 0.2, "by": "person", "seed": 0},
        'data.split.by: got "person"; expected case, subject or group',
    ),
    ("gap", {"leakage": "yes"}, 'gap.leakage: got "yes"; expected true or false'),
    ("gap", {"leakage": True, "x": 1}, 'gap.x: unknown key "x"; expected one of leakage'),
    *(
        (
            "threshold",
            value,
            f"threshold{place}: got {shown}; expected 0.5 or another probability, youden, sensitivity>=0.95,"
            " specificity>=0.9, or {name: cost, false_negative: 5, false_positive: 1}",
        )
        for value, place, shown in (
            ("best", "", '"best"'),
            (["youden", 1.5], ".1", "1.5"),
            (["sensitivity>=95"], ".0", '"sensitivity>=95"'),
            ([{"name": "cost", "false_negative": 5}], ".0", '{"name": "cost", "false_negative": 5}'),
        )
    ),
    (
        "threshold",
        ["youden", "youden"],
        'threshold: got ["youden", "youden"]; expected rules that differ from each other',
    ),
    ("data/sample", {"train": 3, "test": 3, "per": "class"}, "data.sample.seed: missing; add it"),
    ("seeds", 0, "seeds: got 0; expected a number of seeds from 1 to 10,000, or a list of different whole numbers ≥ 0"),
    (
        "seeds",
        [1, 1],
        "seeds: got [1, 1]; expected a number of seeds from 1 to 10,000, or a list of different whole numbers ≥ 0",
    ),
    (
        "study",
        "My Study",
        'study: got "My Study"; expected up to 60 small letters, digits and hyphens, such as batch-size',
    ),
    ("experiments/batch/factors", {}, "experiments.batch.factors: got {}; expected one entry or more"),
    (
        "experiments/batch/factors/batch_size",
        ["32x"],
        'experiments.batch.factors.batch_size: got "32x"; expected a whole number from 1 to 1,000,000',
    ),
    (
        "experiments/batch/factors/batch_size",
        [8, 4, 8],
        "experiments.batch.factors.batch_size: level 8 is listed twice; delete one of them",
    ),
    (
        "experiments/batch/factors",
        {"batch_sze": [8]},
        'experiments.batch.factors.batch_sze: unknown path "batch_sze"; did you mean "batch_size"?',
    ),
    (
        "experiments/batch/factors",
        {"optimizer.momentum": [0.9]},
        "experiments.batch.factors.optimizer.momentum: momentum has no effect with adam; delete it",
    ),
    (
        "experiments/loss/reported",
        {"acuracy": {"bce": 1}},
        'experiments.loss.reported.acuracy: unknown metric "acuracy"; did you mean "accuracy"?',
    ),
    (
        "experiments/loss/reported",
        {"accuracy": {"bcd": 1}},
        'experiments.loss.reported.accuracy: no arm bcd; did you mean "bce"?',
    ),
    (
        "experiments/loss/reported",
        {"accuracy": {"bce": "x"}},
        'experiments.loss.reported.accuracy.bce: got "x"; expected a number, or a text such as "about 60",'
        ' ">= 0.1", "0.90 to 0.95"',
    ),
]


@pytest.mark.parametrize(
    ("path", "value", "message"), MISTAKES, ids=[m[2].split(":")[0] + str(i) for i, m in enumerate(MISTAKES)]
)
def test_mistakes_are_answered(path, value, message):
    assert refusal(parse_study, changed(path, value), place="study.yaml") == f"study.yaml, {message}"


def renamed(name, other):
    study = small_study("phantom")
    study["base"][other] = study["base"].pop(name)
    return study


def test_a_key_that_is_much_like_one_that_is_missing_is_named():
    for name, other in (("batch_size", "batchsize"), ("epochs", "epoch")):
        assert (
            refusal(parse_study, renamed(name, other), place="s")
            == f's, base.{other}: unknown key "{other}"; did you mean "{name}"?'
        )


def test_what_is_missing_is_named_with_what_it_may_be():
    assert refusal(parse_study, renamed("schedule", "nothing_like_it"), place="s") == (
        "s, base.schedule: missing; expected one of constant, cosine, exponential, linear, onecycle, plateau, step;"
        " add it"
    )


def test_a_part_of_a_part_is_found_by_its_own_name():
    raw = small_study("phantom")
    raw["experiments"] = {"rate": {"factors": {"lr": [0.1, 0.01]}}}
    assert (
        refusal(parse_study, raw, place="s")
        == 's, experiments.rate.factors.lr: unknown path "lr"; did you mean "optimizer.lr"?'
    )
    assert (
        refusal(parse_study, small_study("phantom"), place="s", overrides={"epochs": 3})
        == '--set epochs: unknown key "epochs"; did you mean "base.epochs"?'
    )


def test_a_rate_has_no_effect_with_onecycle():
    study = changed("base/schedule", {"name": "onecycle", "max_lr": 0.1})
    study["experiments"]["batch"]["factors"] = {"optimizer.lr": [0.1, 0.2]}
    assert refusal(parse_study, study, place="study.yaml") == (
        "study.yaml, experiments.batch.factors.optimizer.lr: optimizer.lr has no effect with onecycle, whose rate is"
        " max_lr; delete the factor or change the base"
    )


def test_a_missing_part_of_the_file():
    study = small_study("phantom")
    del study["base"]
    assert refusal(parse_study, study, place="study.yaml") == "study.yaml, base: missing; add it"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("base.epochs=0", "--set base.epochs: got 0; expected a whole number from 1 to 1,000,000"),
        (
            "base.batch_size=4",
            "--set base.batch_size: batch_size is a factor of experiment batch; edit a copy of the study",
        ),
        ("bse.epochs=2", '--set bse.epochs: study.yaml has no "bse" to set it in; did you mean "base"?'),
        ("base.epochs", "--set base.epochs: no value; expected key=value; for example --set base.epochs=5"),
        ("experiments.x=1", "--set experiments.x: experiments cannot be overridden; edit a copy of the study"),
        ("data.image_siz=8", '--set data.image_siz: unknown key "image_siz"; did you mean "image_size"?'),
    ],
)
def test_overrides_that_do_not_fit(setting, message):
    def overridden():
        return parse_study(small_study("phantom"), place="study.yaml", overrides=parse_overrides([setting]))

    assert refusal(overridden) == message


def test_overrides_change_the_study_and_are_kept():
    overrides = parse_overrides(
        ["base.epochs=7", "data.intensity=raw", "base.schedule={name: step, every: 2, gamma: 0.5}"]
    )
    study = parse_study(small_study("phantom"), place="s", overrides=overrides)
    assert study.base.epochs == 7
    assert {arm.recipe.epochs for arm in study.arms} == {7}
    assert study.data.intensity == "raw"
    assert study.base.schedule.name == "step"
    assert parse_study(study.raw, place="s", overrides=study.overrides) == study


def test_grid_labels_and_base_of_an_experiment():
    raw = small_study("phantom")
    raw["experiments"] = {
        "grid": {
            "base": {"epochs": 9},
            "factors": {
                "loss": ["bce", {"label": "weighted", "name": "ce", "class_weights": "balanced"}],
                "optimizer.lr": [0.1, 1e-6],
            },
            "reported": {"accuracy": [{"arm": {"loss": "weighted", "optimizer.lr": 1e-6}, "value": 0.5}]},
        }
    }
    study = parse_study(raw, place="s")
    assert [arm.name for arm in study.arms] == [
        "grid/bce,0.1",
        "grid/bce,1e-06",
        "grid/weighted,0.1",
        "grid/weighted,1e-06",
    ]
    assert {arm.recipe.epochs for arm in study.arms} == {9}
    assert study.arms[3].recipe.loss.class_weights == "balanced"
    assert study.experiments[0].reported["accuracy"]["grid/weighted,1e-06"].value == 0.5


def test_yaml_is_1_2():
    parsed = parse_mapping("a: 1e-3\nb: no\nc: 0o17\nd: 12e03\ne: on", "x")
    assert parsed == {"a": 0.001, "b": "no", "c": 15, "d": 12000.0, "e": "on"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", 'x, line 2: duplicate key "a"; expected each key once'),
        ("a: [1", "x, line 1: not YAML (expected ',' or ']', but got '<stream end>'); mend the line"),
        ("a: 1\n\tb: 2", "x, line 2: a tab; expected spaces; indent with spaces"),
        (
            "a:\n  b:1\n  c: 2",
            "x, line 3: a colon where none may be; is a space missing after a colon, here or in the line above?",
        ),
        (
            "a:\n    b: 1\n  c: 2",
            "x, line 3: indented otherwise than the lines above; give the keys of one mapping the same indentation",
        ),
        ("- 1", "x: got list; expected a mapping of keys to values"),
        ("a: [1]]", "x, line 1: a bracket that closes nothing; delete it, or quote the text"),
        ("a: {b: 1}}", "x, line 1: a bracket that closes nothing; delete it, or quote the text"),
        ("a: \0", "x: not YAML 1.2; check the syntax"),
        ("a: !!int x", "x: not YAML 1.2; check the syntax"),
        ("a: 1\nb: *c", "x, line 2: not YAML (found undefined alias 'c'); mend the line"),
        ("a: " + 50 * "[" + 50 * "]", "x: nested more than 50 deep; expected at most 50"),
        ("%YAML 1.1\n---\na: 1", "x: %YAML with another version; expected YAML 1.2; delete the line"),
        ("a: &b 1\nc: &b 2", 'x: two anchors "&b"; expected each name once; rename one'),
        ("a: [{b: .nan}, {c: 1}]", "x: the number nan; expected finite numbers; quote it if it is a text"),
        *(
            (f"a: {number}", f"x: the number {text}; expected finite numbers; quote it if it is a text")
            for number, text in ((".inf", "inf"), ("-.inf", "-inf"), ("[.nan]", "nan"), ("{b: .nan}", "nan"))
        ),
        *(
            (
                f"a: {value}",
                f"x: a value of the type {kind}; expected texts, numbers, lists and mappings; quote it",
            )
            for value, kind in (
                ("2020-01-01", "date"),
                ("2020-01-01T10:00:00", "datetime"),
                ("!!set {b}", "set"),
                ("!!binary aGVsbG8=", "bytes"),
                ("{? [1, 2] : 3}", "tuple"),
            )
        ),
        ("", "x: the file is empty; expected a mapping of keys to values"),
        ("a: &a [1]\n" + "\n".join(f"b{i}: *a" for i in range(101)), "x: 101 aliases; expected at most 100"),
    ],
)
def test_yaml_that_is_refused(text, message):
    assert refusal(parse_mapping, text, "x") == message


def test_yaml_that_is_as_large_as_it_may_be(monkeypatch):
    assert parse_mapping("a: " + 49 * "[" + 49 * "]", "x") == {"a": json.loads(49 * "[" + 49 * "]")}
    # what has been closed is no depth
    assert len(parse_mapping("a: [" + "[[]], " * 60 + "]", "x")["a"]) == 60
    assert parse_mapping("a: &b 1\n" + "\n".join(f"b{i}: *b" for i in range(100)), "x")["b99"] == 1
    assert parse_mapping("%YAML 1.2\n---\na: &b 1\nc: &d 2\ne: *b", "x") == {"a": 1, "c": 2, "e": 1}
    monkeypatch.setattr(yaml_file, "MAX_WRITTEN", 5)
    # a mapping, two keys, two values
    assert parse_mapping("{a: 1, b: 2}", "x") == {"a": 1, "b": 2}
    assert refusal(parse_mapping, "{a: 1, b: [2]}", "x") == "x: more than 5 values; expected at most 5"
    monkeypatch.setattr(yaml_file, "MAX_WRITTEN", 50_000)
    monkeypatch.setattr(yaml_file, "MAX_NODES", 13)
    assert parse_mapping("a: &a [1, 2]\nb: [*a, *a]", "x") == {"a": [1, 2], "b": [[1, 2], [1, 2]]}
    assert refusal(parse_mapping, "a: &a [1, 2]\nb: [*a, *a, 3]", "x") == "x: more than 13 values; expected at most 13"
    assert refusal(parse_mapping, "a: &a [*a]", "x") == "x: more than 13 values; expected at most 13"


def test_a_mapping_says_what_a_file_would(tmp_path, monkeypatch):
    raw = small_study("images")
    (tmp_path / "images").mkdir()
    (tmp_path / "study.yaml").write_text(json.dumps(raw))
    monkeypatch.chdir(tmp_path)
    before = copy.deepcopy(raw)
    study = load_study(raw, overrides={"seeds": 1})
    assert raw == before
    named = load_study("study.yaml", overrides={"seeds": 1})
    assert (study.data, study.arms, study.seeds, study.claims) == (named.data, named.arms, named.seeds, named.claims)
    assert study.data.source == str(tmp_path / "images")
    assert (study.place, study.path) == ("study", None)
    bad = {**raw, "base": {**raw["base"], "loss": "bcee"}}
    assert refusal(load_study, bad) == 'study, base.loss: got "bcee"; did you mean "bce"?'


def test_a_study_that_is_not_there():
    assert refusal(load_study, "nowhere.yaml") == (
        "nowhere.yaml: no such study; expected a file, or one of report-a, report-b, strong; check the path"
    )


def test_parsing_changes_nothing_that_was_given():
    raw = small_study("phantom")
    before = copy.deepcopy(raw)
    parse_study(raw, place="s", overrides={"base.epochs": 4})
    assert raw == before


def test_thresholds_are_written_in_several_ways():
    study = parse_study(
        small_study(
            "phantom", threshold=[0.3, "sensitivity >= .9", {"name": "cost", "false_negative": 5, "false_positive": 1}]
        ),
        place="s.yaml",
    )
    assert [rule.label for rule in study.thresholds] == ["0.3", "sensitivity ≥ 0.9", "cost 5 : 1"]
    assert [rule.label for rule in parse_study(small_study("phantom"), place="s").thresholds] == [
        "youden",
        "sensitivity ≥ 0.95",
    ]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (
            {"val": 0.2, "by": "subject", "seed": 0},
            "it has no effect where the split keeps subjects together; delete it",
        ),
        (
            "given",
            "the source's own split is given, and has no other to stand beside it; expected"
            " split: {val, by: case, seed}; draw the split, or delete gap.leakage",
        ),
    ],
)
def test_leakage_that_cannot_be_measured_is_refused(split, message):
    study = small_study("phantom", gap={"leakage": True})
    study["data"]["split"] = split
    assert refusal(parse_study, study, place="s.yaml") == f"s.yaml, gap.leakage: {message}"


@pytest.mark.parametrize(
    ("written", "label"),
    [
        (0.3, "0.3"),
        ("youden", "youden"),
        ("specificity>=0.9", "specificity ≥ 0.9"),
        (" sensitivity  >= .95 ", "sensitivity ≥ 0.95"),
        ({"name": "cost", "false_negative": 5, "false_positive": 0.5}, "cost 5 : 0.5"),
    ],
)
def test_a_threshold_that_may_be_wanted(written, label):
    (rule,) = parse_study(small_study("phantom", threshold=written), place="s").thresholds
    assert rule.label == label
    # and as one of a list
    rules = parse_study(small_study("phantom", threshold=[0.4, written]), place="s").thresholds
    assert [rule.label for rule in rules] == ["0.4", label]


@pytest.mark.parametrize(
    "written",
    [
        *(1, 0, 1.0, -0.5, True, None, "0.3", "Youden", "youden!", "specificity", "specificity>0.9"),
        *("accuracy>=0.9", "sensitivity>=1.5", "sensitivity>=0"),
        *({"name": "youden"}, {"name": "fixed", "value": 0.3}, {"false_negative": 5, "false_positive": 1}),
        *({"name": "cost", "false_positive": 1}, {"name": "cost", "false_negative": 5}),
        *({"name": "cost", "false_negative": 5, "false_positive": wrong} for wrong in (0, -1, 2e6)),
        ["youden", {"name": "cost"}],
    ],
)
def test_what_is_no_threshold(written):
    said = refusal(parse_study, small_study("phantom", threshold=written), place="s")
    assert "expected 0.5 or another probability, youden, sensitivity>=0.95, specificity>=0.9, or {name: cost" in said


GRIDS = [
    (
        {"factors": {"batch_size": list(range(1, 102))}},
        "factors: 101 arms; expected at most 100",
    ),
    (
        {"factors": {"schedule": ["constant"], "schedule.gamma": [0.5, 0.6]}},
        "factors.schedule: it overwrites schedule.gamma; write the parts into the levels of one factor",
    ),
    (
        {"factors": {"optimizer": ["adam"]}, "base": {"optimizer.lr": 0.1}},
        "factors.optimizer: it overwrites optimizer.lr; write the parts into the levels of one factor",
    ),
    (
        {"factors": {"batch_size": [4, 8]}, "base": {"batch_size": 4}},
        "base.batch_size: batch_size is a factor of this experiment; delete one of them",
    ),
    (
        {"factors": {"loss": ["bce", {"label": "also bce", "name": "bce"}]}},
        "factors: bce and also bce are the same recipe; delete one of them",
    ),
    (
        {"factors": {"data.skip_unreadable": [True, False]}},
        "factors.data.skip_unreadable: it is no choice of training; delete the factor",
    ),
    (
        {"factors": {"data.image_sise": [8, 16]}},
        'factors.data.image_sise: unknown path "data.image_sise"; did you mean "data.image_size"?',
    ),
    (
        {"factors": {"data.image_size": [8, 2]}},
        "factors.data.image_size: got 2; expected a whole number from 4 to 4096",
    ),
    (
        {"factors": {"batch_size": [4, 8]}, "base": {"epochs": 0}},
        "base.epochs: got 0; expected a whole number from 1 to 1,000,000",
    ),
    (
        {"factors": {"batch_size": [4, 8]}, "base": {"data.image_size": 2}},
        "base.data.image_size: got 2; expected a whole number from 4 to 4096",
    ),
    (
        {"factors": {"optimizer": [{"name": "adam", "lr": -1}]}},
        "factors.optimizer.lr: got -1; expected a number > 0",
    ),
    (
        {"factors": {"epochs.of": [1, 2]}},
        'factors.epochs.of: there is no "epochs" to set it in; name a part of the base or data',
    ),
    (
        {"factors": {"batch_size": [4]}, "base": {"epochs.of": 2}},
        'base.epochs.of: there is no "epochs" to set it in; name a part of the base or data',
    ),
    (
        {"factors": {"data.split": [{"val": 0.2, "bye": "case", "seed": 0}]}},
        'factors.data.split.bye: unknown key "bye"; did you mean "by"?',
    ),
    (
        {
            "factors": {
                "loss": [{"label": "a,b", "name": "bce"}, {"label": "a", "name": "ce"}],
                "schedule": [{"label": "c", "name": "constant"}, {"label": "b,c", "name": "cosine"}],
            }
        },
        "factors: two arms are called a,b,c; give a level another label",
    ),
    ({"factors": {"every": [2]}}, 'factors.every: unknown path "every"; did you mean "schedule.every"?'),
]


@pytest.mark.parametrize(("experiment", "expected"), GRIDS, ids=[text for _, text in GRIDS])
def test_experiments_that_cannot_be(experiment, expected):
    raw = small_study("phantom", experiments={"e": experiment})
    assert refusal(parse_study, raw, place="s") == f"s, experiments.e.{expected}"


def test_a_hundred_arms_are_not_too_many():
    grid = {"batch_size": list(range(1, 11)), "epochs": list(range(1, 11))}
    study = parse_study(small_study("phantom", experiments={"e": {"factors": grid}}), place="s")
    assert len({arm.name for arm in study.arms}) == 100
    assert study.arms[1].levels == {"batch_size": "1", "epochs": "2"}


def test_how_levels_are_called(tmp_path):
    for name in ("films", "more"):
        (tmp_path / name).mkdir()
    raw = small_study("phantom")
    raw["experiments"] = {
        "rate": {"factors": {"optimizer.lr": [1.0, 0.5, 1e-6]}},
        "weights": {"factors": {"loss.class_weights": ["none", "balanced", [1, 2]]}},
        "data": {"factors": {"data.source": [f"{tmp_path}/films", f"{tmp_path}/more/", "phantom"]}},
        "subject": {"factors": {"data.subject": ["(s\\d+)/", "case"]}},
        "stop": {"factors": {"data.positive": [None, "PNEUMONIA"]}},
        "nesterov": {
            "base": {"optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9}},
            "factors": {"optimizer.nesterov": [True, False]},
        },
    }
    study = parse_study(raw, place="s")
    labels = {e.name: [arm.label for arm in e.arms] for e in study.experiments}
    assert labels == {
        "rate": ["1", "0.5", "1e-06"],
        "weights": ["none", "balanced", "[1, 2]"],
        # the way to a folder is nobody's business
        "data": ["films", "more", "phantom"],
        "subject": ["(s\\d+)/", "case"],
        "stop": ["none", "PNEUMONIA"],
        "nesterov": ["true", "false"],
    }


def test_what_one_experiment_varies_is_in_no_other():
    raw = small_study("phantom")
    raw["experiments"] = {
        "rate": {"title": "The rate", "factors": {"optimizer.lr": [0.1, 0.2]}},
        "val": {"factors": {"data.split.val": [0.3, 0.4]}},
        "batch": {"factors": {"batch_size": [4, 8]}},
    }
    before = copy.deepcopy(raw)
    study = parse_study(raw, place="s")
    found = {
        e.name: [(arm.recipe.optimizer.lr, arm.data.split.val, arm.recipe.batch_size) for arm in e.arms]
        for e in study.experiments
    }
    assert found == {
        "rate": [(0.1, 0.25, 8), (0.2, 0.25, 8)],
        "val": [(0.01, 0.3, 8), (0.01, 0.4, 8)],
        "batch": [(0.01, 0.25, 4), (0.01, 0.25, 8)],
    }
    assert raw == before
    assert [e.title for e in study.experiments] == ["The rate", "val", "batch"]
    assert [e.factors for e in study.experiments] == [("optimizer.lr",), ("data.split.val",), ("batch_size",)]


CLAIM = {"id": "c", "metric": "accuracy", "better": 4, "than": 8}
BY_VALIDATION = {"id": "v", "metric": "val_accuracy", "better": 4, "than": 8, "margin": 0.02}
GROWS = {"min": 6, "max": 20, "until": "decided"}


def growing(*claims, **changes):
    raw = small_study("phantom", seeds=GROWS, **changes)
    raw["experiments"] = {"batch": {"factors": {"batch_size": [4, 8]}, "claims": list(claims)}}
    return parse_study(raw, place="s")


def test_a_study_that_grows_is_looked_at_and_decided_by_something():
    study = growing(CLAIM)
    assert study.seeds == tuple(range(20))
    assert study.looks == Looks(look_seeds(6, 20))
    assert parse_study(small_study("phantom", seeds=[3, 5]), place="s").looks is None
    assert refusal(growing) == (
        "s, seeds.until: there is no claim to be decided; expected a number of seeds; or add a claim"
    )
    sealed = "s, seeds.until: c is decided by the test images, which are sealed; expected a number of seeds; or claims"
    assert refusal(growing, BY_VALIDATION, CLAIM, test="sealed") == f"{sealed} about validation"
    assert growing(BY_VALIDATION, test="sealed").looks == growing(BY_VALIDATION).looks == study.looks


def test_leakage_is_measured_where_it_is_asked_for():
    for gap, expected in (({"leakage": True}, True), ({"leakage": False}, False), (None, False)):
        assert parse_study(small_study("phantom", gap=gap), place="s").measures_leakage is expected


@pytest.mark.parametrize(
    ("written", "text", "value"),
    [
        (0.725, "0.725", 0.725),
        (80, "80", 80.0),
        ("0.5", "0.5", 0.5),
        (" about 60 ", "about 60", 60.0),
        (">= 0.1", "≥ 0.1", None),
        ("<=0.2", "≤ 0.2", None),
        ("> 0.3", "> 0.3", None),
        ("<.4", "< .4", None),
        ("0.90 to 0.95", "0.90 to 0.95", None),
    ],
)
def test_numbers_that_a_report_gives(written, text, value):
    raw = small_study("phantom")
    raw["experiments"]["loss"]["reported"] = {"accuracy": {"bce": written}}
    found = parse_study(raw, place="s").experiments[0].reported["accuracy"]["loss/bce"]
    assert (found.text, found.value) == (text, value)


def test_a_reported_number_stands_once():
    raw = small_study("phantom")
    raw["experiments"]["batch"]["reported"] = {"accuracy": {4: 0.5, "4": 0.6}}
    assert refusal(parse_study, raw, place="s") == (
        "s, experiments.batch.reported.accuracy: arm 4 is listed twice; delete one of them"
    )
