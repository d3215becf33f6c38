"""Where a study's runs are trained: its block, the site file, and the option, each with its own words."""

import json

import pytest
from pydantic import ValidationError

from doubleread.errors import UserError
from doubleread.nouns import REFERENCE
from doubleread.study import (
    EngineChoice,
    engine_of,
    engine_planned,
    load_study,
    parse_overrides,
    parse_study,
    plan_runs,
)
from doubleread.study.engine_spec import EngineSpec, site_file
from doubleread.study.plan import data_key
from tests.conftest import small_study
from tests.refusals import refusal

KEYS = "account, batch_minutes, constraint, cpus, environment, gpus, memory_gb, minutes, name, partition, qos, retries"
CLIENT = (
    "the address of Ray: ray://head:10001 is that of a client; expected host:port, or auto; start doubleread on a"
    " machine of the cluster, as with ray job submit"
)


@pytest.fixture(autouse=True)
def at_no_site(monkeypatch, tmp_path):
    """Nothing of the machine that tests run on says where runs go."""
    monkeypatch.delenv("DOUBLEREAD_SITE", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def site(monkeypatch, tmp_path):
    """Return a function that writes a site file, which is then the one that counts."""

    def write(text):
        path = tmp_path / "site.yaml"
        path.write_text(text)
        monkeypatch.setenv("DOUBLEREAD_SITE", str(path))
        return path

    return write


def study_with(engine=None, *settings):
    """Return the small study with an engine block, after `--set` of each of the settings."""
    more = {} if engine is None else {"engine": engine}
    return parse_study(small_study("phantom", **more), place="s", overrides=parse_overrides(settings))


def engine_with(engine=None, name=None):
    study = study_with(engine)
    return engine_of(study.engine, name, study.place)


def test_a_study_that_says_nothing_is_trained_on_this_machine():
    assert study_with().engine is None
    assert engine_with() == EngineChoice(name="local")
    assert engine_with("local") == EngineChoice(name="local")


def test_a_name_stands_for_a_block_with_nothing_else():
    assert study_with("slurm").engine == EngineSpec(name="slurm") == study_with({"name": "slurm"}).engine
    assert engine_with("slurm") == EngineChoice(name="slurm") == engine_with({"name": "slurm"})


def test_a_block_says_what_a_job_asks_for():
    block = {"name": "slurm", "partition": "gpu", "gpus": 1, "minutes": 30, "memory_gb": 8, "batch_minutes": 0}
    assert engine_with(block) == EngineChoice(**block)
    assert engine_with({"name": "ray", "gpus": 0.25, "retries": 0}) == EngineChoice(name="ray", gpus=0.25, retries=0)
    assert engine_with({"name": "ray", "gpus": 3}).gpus == 3


def test_what_a_block_leaves_out():
    engine = engine_with("slurm")
    assert engine.model_dump() == {
        "name": "slurm",
        "gpus": 0.0,
        "retries": 3,
        "partition": None,
        "account": None,
        "qos": None,
        "constraint": None,
        "cpus": None,
        "memory_gb": None,
        "minutes": 60,
        "batch_minutes": 10.0,
        "environment": None,
        "address": None,
        "setup": (),
        "environments": {},
        "options": {},
    }


MISTAKES = [
    ("slum", 's, engine: got "slum"; expected local, ray or slurm'),
    ({"name": "pbs"}, 's, engine.name: got "pbs"; expected local, ray or slurm'),
    ({"minutes": 5}, "s, engine.name: missing; add it"),
    ({"name": "slurm", "minuts": 5}, 's, engine.minuts: unknown key "minuts"; did you mean "minutes"?'),
    ({"name": "ray", "minutes": 5}, "s, engine.minutes: minutes has no effect with ray; delete it"),
    ({"name": "ray", "partition": "a"}, "s, engine.partition: partition has no effect with ray; delete it"),
    ({"name": "slurm", "retries": 1}, "s, engine.retries: retries has no effect with slurm; delete it"),
    ({"name": "local", "gpus": 1}, "s, engine.gpus: gpus has no effect with local; delete it"),
    ({"name": "local", "cpus": 1}, "s, engine.cpus: cpus has no effect with local; delete it"),
    ({"name": "slurm", "gpus": 0.5}, "s, engine.gpus: a job of Slurm has whole GPUs; expected a whole number"),
    ({"name": "slurm", "gpus": -1}, "s, engine.gpus: got -1; expected a number ≥ 0"),
    ({"name": "slurm", "minutes": 0}, "s, engine.minutes: got 0; expected a whole number ≥ 1"),
    ({"name": "slurm", "minutes": 2.5}, "s, engine.minutes: got 2.5; expected a whole number ≥ 1"),
    ({"name": "slurm", "minutes": True}, "s, engine.minutes: got true; expected a whole number ≥ 1"),
    ({"name": "slurm", "cpus": 0}, "s, engine.cpus: got 0; expected a whole number from 1 to 1,000,000"),
    ({"name": "slurm", "memory_gb": 0}, "s, engine.memory_gb: got 0; expected a number > 0"),
    ({"name": "slurm", "batch_minutes": -1}, "s, engine.batch_minutes: got -1; expected a number ≥ 0"),
    (
        {"name": "slurm", "partition": ""},
        's, engine.partition: got ""; expected a name as sbatch has it, without spaces and quotes',
    ),
    ({"name": "ray", "retries": 101}, "s, engine.retries: got 101; expected a whole number from 0 to 100"),
    # for the user alone to say: where a study comes from a stranger, it runs no line of shell and joins no cluster
    ({"name": "ray", "address": "h:1"}, f's, engine.address: unknown key "address"; expected one of {KEYS}'),
    ({"name": "slurm", "setup": ["rm -r ~"]}, f's, engine.setup: unknown key "setup"; expected one of {KEYS}'),
    ({"name": "slurm", "options": {}}, 's, engine.options: unknown key "options"; did you mean "partition"?'),
    (
        {"name": "slurm", "environments": {"a": ["b"]}},
        's, engine.environments: unknown key "environments"; did you mean "environment"?',
    ),
]


@pytest.mark.parametrize(("block", "expected"), MISTAKES, ids=[text for _, text in MISTAKES])
def test_a_mistake_in_the_block_of_a_study(block, expected):
    assert refusal(study_with, block) == expected


def test_the_option_goes_before_the_block_and_one_about_another_engine_is_not_heeded():
    block = {"name": "slurm", "partition": "gpu", "gpus": 1}
    assert engine_with(block, "ray") == EngineChoice(name="ray")
    assert engine_with(block, "local") == EngineChoice(name="local")
    assert engine_with(block, "slurm") == EngineChoice(**block)
    assert engine_with(None, "slurm") == EngineChoice(name="slurm")


def test_an_option_that_names_no_engine():
    assert refusal(engine_with, None, "slum") == '--engine: got "slum"; did you mean "slurm"?'
    assert refusal(engine_with, "ray", "grid") == '--engine: got "grid"; expected one of local, ray, slurm'


SITE = """
slurm:
  partition: cpu
  account: mine
  minutes: 30
  setup: [module load python]
  environments:
    torch: [source torch/bin/activate]
  options: {nice: 100, exclusive: true, mail-type: END}
ray:
  retries: 5
  address: head:6379
"""


def test_the_words_of_a_study_go_before_those_of_the_site(site):
    site(SITE)
    assert engine_with({"name": "slurm", "partition": "gpu", "environment": "torch"}) == EngineChoice(
        name="slurm",
        partition="gpu",
        environment="torch",
        account="mine",
        minutes=30,
        setup=("module load python",),
        environments={"torch": ("source torch/bin/activate",)},
        options={"nice": 100, "exclusive": True, "mail_type": "END"},
    )
    assert engine_with("ray") == EngineChoice(name="ray", retries=5, address="head:6379")
    assert engine_with({"name": "ray", "retries": 3}) == EngineChoice(name="ray", retries=3, address="head:6379")
    assert engine_with() == EngineChoice(name="local")


def test_the_site_counts_for_an_engine_that_only_the_option_names(site):
    site(SITE)
    engine = engine_with({"name": "ray", "retries": 0}, "slurm")
    assert (engine.partition, engine.minutes, engine.retries) == ("cpu", 30, 3)


def test_where_the_site_file_is(monkeypatch, tmp_path):
    usual = tmp_path / "config" / "doubleread" / "site.yaml"
    assert site_file() == usual
    usual.parent.mkdir(parents=True)
    usual.write_text("slurm: {partition: usual}")
    assert engine_with("slurm").partition == "usual"
    other = tmp_path / "other.yaml"
    other.write_text("slurm: {qos: other}")
    monkeypatch.setenv("DOUBLEREAD_SITE", str(other))
    assert site_file() == other
    # the one named is in the place of the usual one, not beside it
    assert (engine_with("slurm").qos, engine_with("slurm").partition) == ("other", None)
    monkeypatch.setenv("DOUBLEREAD_SITE", str(tmp_path / "none.yaml"))
    assert refusal(engine_with) == f"DOUBLEREAD_SITE: there is no file {tmp_path / 'none.yaml'}"
    monkeypatch.setenv("DOUBLEREAD_SITE", "~nobody-is-called-so/site.yaml")
    assert refusal(engine_with).startswith("DOUBLEREAD_SITE: not a usable path (")


def test_an_engine_that_the_site_file_says_nothing_of(site):
    site("ray: {retries: 1}\nslurm:\n")
    assert engine_with("slurm") == EngineChoice(name="slurm")


SITE_MISTAKES = [
    ("slum: {}", ', slum: unknown key "slum"; did you mean "slurm"?'),
    ("5: {}", ', 5: unknown key "5"; expected one of local, ray, slurm'),
    ("slurm: {partitionn: a}", ', slurm.partitionn: unknown key "partitionn"; did you mean "partition"?'),
    ("slurm: {retries: 1}", ", slurm.retries: retries has no effect with slurm; delete it"),
    ("slurm: {address: 'a:1'}", ", slurm.address: address has no effect with slurm; delete it"),
    ("slurm: {gpus: 0.5}", ", slurm.gpus: a job of Slurm has whole GPUs; expected a whole number"),
    ("slurm: {minutes: 0}", ", slurm.minutes: got 0; expected a whole number ≥ 1"),
    ("slurm: {setup: module load a}", ', slurm.setup: got "module load a"; expected a list'),
    ("slurm: {environments: {a: b}}", ', slurm.environments.a: got "b"; expected a list'),
    ("slurm: {memory_gb: 0.0005}", ", slurm.memory_gb: got 0.0005; expected a number ≥ 0.001"),
    ("slurm: {options: {job-name: a}}", ", slurm.options.job-name: doubleread sets job-name itself; delete it"),
    ("slurm: {options: {open_mode: append}}", ", slurm.options.open_mode: doubleread sets open_mode itself; delete it"),
    ("slurm: {options: {--array: 1-3}}", ", slurm.options.--array: doubleread sets --array itself; delete it"),
    ("slurm: {options: {time: 5}}", ", slurm.options.time: time has a key of its own; set minutes instead"),
    (
        "slurm: {options: {cpus-per-task: 2}}",
        ", slurm.options.cpus-per-task: cpus-per-task has a key of its own; set cpus instead",
    ),
    (
        "slurm: {options: {mail-type: a, mail_type: b}}",
        ", slurm.options.mail_type: mail_type stands there twice; delete one",
    ),
    ("slurm: 5", ", slurm: got 5; expected a mapping"),
    ("[slurm]", ": got list; expected a mapping of keys to values"),
]


@pytest.mark.parametrize(("text", "expected"), SITE_MISTAKES, ids=[text for text, _ in SITE_MISTAKES])
def test_a_mistake_in_the_site_file(site, text, expected):
    path = site(text)
    assert refusal(engine_with, "slurm") == f"{path}{expected}"


def test_a_mistake_about_another_engine_stops_nobody(site):
    site("ray: {setup: [a]}")
    assert engine_with("slurm") == EngineChoice(name="slurm")


def test_an_environment_is_one_of_the_site(site):
    block = {"name": "slurm", "environment": "trch"}
    assert refusal(engine_with, block) == "s, engine.environment: the site file has no trch; it has none"
    site(SITE)
    assert refusal(engine_with, block) == 's, engine.environment: the site file has no trch; did you mean "torch"?'


def test_a_plan_needs_neither_environment_nor_address(monkeypatch, site):
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    for block in ({"name": "slurm", "environment": "torch", "gpus": 1}, {"name": "ray", "gpus": 0.5}):
        study = study_with(block)
        assert engine_planned(study.engine, None) == EngineChoice(**block)
        with pytest.raises(UserError):
            engine_of(study.engine, None, "s")
    # what the site says of GPUs counts for a plan as for a run
    site("slurm: {gpus: 2}")
    assert engine_planned(study_with("slurm").engine, None).gpus == 2


def test_without_a_home_there_is_no_site_file(monkeypatch, tmp_path):
    def homeless():
        raise OSError("no home")

    monkeypatch.setattr("doubleread.study.engine_spec.config_folder", homeless)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no-site.yaml").write_text("slurm: {qos: a}")
    assert site_file() is None
    assert engine_with("slurm") == EngineChoice(name="slurm")


def test_the_address_of_ray(monkeypatch, site):
    assert engine_with("ray").address is None
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:6379")
    assert engine_with("ray").address == "elsewhere:6379"
    assert engine_with("slurm").address is None
    site("ray: {address: 'head:6379'}")
    assert engine_with("ray").address == "head:6379"
    site("ray: {address: auto}")
    assert engine_with("ray").address == "auto"
    # one of its own, whatever the variable says
    site("ray: {address: local}")
    assert engine_with("ray").address is None


def test_an_address_for_clients_is_refused(monkeypatch, site):
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    assert refusal(engine_with, "ray") == CLIENT
    assert engine_with("slurm") == EngineChoice(name="slurm")
    monkeypatch.delenv("RAY_ADDRESS")
    site("ray: {address: 'ray://head:10001'}")
    assert refusal(engine_with, "ray") == CLIENT


def run_ids(engine):
    study = study_with(engine)
    keys = {data_key(arm.data): "some-data" for arm in study.arms}
    return [run.run_id for run in plan_runs(study, keys, lambda *_: REFERENCE).runs]


def test_where_a_run_is_trained_is_no_part_of_its_identity():
    without = run_ids(None)
    assert len(set(without)) == 8
    for engine in ("local", "slurm", {"name": "slurm", "partition": "a", "minutes": 9}, {"name": "ray", "retries": 1}):
        assert run_ids(engine) == without


def test_an_option_can_be_overridden():
    block = {"name": "slurm", "minutes": 9, "partition": "a"}
    assert study_with(block, "engine.minutes=5").engine == EngineSpec(name="slurm", minutes=5, partition="a")
    assert study_with(block, "engine.gpus=2", "engine.qos=long").engine == EngineSpec(**block, gpus=2, qos="long")
    assert study_with(None, "engine=ray").engine == EngineSpec(name="ray")
    assert study_with(block, "engine={name: ray, retries: 1}").engine == EngineSpec(name="ray", retries=1)


def test_a_mistake_in_an_override_is_the_option_s():
    block = {"name": "slurm", "minutes": 9}
    assert refusal(study_with, block, "engine.minutes=0") == "--set engine.minutes: got 0; expected a whole number ≥ 1"
    assert refusal(study_with, block, "engine.name=ray") == (
        "s, engine.minutes: minutes has no effect with ray; delete it"
    )


def test_an_override_reaches_into_an_engine_that_is_only_named():
    assert study_with("slurm", "engine.minutes=5").engine == EngineSpec(name="slurm", minutes=5)


def test_a_study_in_a_file(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(json.dumps(small_study("phantom", engine={"name": "slurm", "minutes": 5})))
    assert load_study(path).engine == EngineSpec(name="slurm", minutes=5)


@pytest.mark.parametrize("key", ["partition", "account", "qos", "constraint"])
@pytest.mark.parametrize(
    "value", ["cpu\ntouch x", "cpu\\'\"\ntouch x\n#", "a b", "a'b", "$(x)", "`x`", "a;b", "a\n", "a\r"]
)
def test_what_goes_into_a_script_is_a_word(key, value):
    with pytest.raises(ValidationError):
        EngineSpec.model_validate({"name": "slurm", key: value})
    assert EngineSpec.model_validate({"name": "slurm", key: "gpu&a100|v100,x-1"})


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("slurm", "slurm: {name: slurm}", ', slurm.name: unknown key "name"; delete it'),
        ("ray", "ray: {gpus: 1.5}", ", ray.gpus: got 1.5; expected a part of one GPU, or a whole number of them"),
        ("ray", "ray: {cpus: 2}", ", ray.cpus: cpus has no effect with ray; delete it"),
        ("local", "local: {gpus: 1}", ", local.gpus: gpus has no effect with local; delete it"),
    ],
)
def test_a_mistake_about_an_engine(site, name, text, expected):
    path = site(text)
    assert refusal(engine_with, name) == f"{path}{expected}"


def test_a_block_s_own_mistakes():
    assert refusal(study_with, {"name": "ray", "gpus": 2.5}) == (
        "s, engine.gpus: got 2.5; expected a part of one GPU, or a whole number of them"
    )
    assert refusal(study_with, {"name": "slurm", "gpus": 0.5}) == (
        "s, engine.gpus: a job of Slurm has whole GPUs; expected a whole number"
    )
    assert refusal(study_with, {"name": "slurm", "memory_gb": 0.0001}) == (
        "s, engine.memory_gb: got 0.0001; expected a number ≥ 0.001"
    )
    assert study_with({"name": "ray", "gpus": 2}).engine == EngineSpec(name="ray", gpus=2)
    assert study_with({"name": "slurm", "memory_gb": 0.001}).engine == EngineSpec(name="slurm", memory_gb=0.001)
