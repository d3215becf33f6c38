"""The reference shelf says what the program is today: pages, keys, commands, what is printed, what is stored."""

import contextlib
import csv
import inspect
import io
import json
import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

import doubleread
from doubleread import cli
from doubleread.engines.squeue import Waiting
from doubleread.errors import UserError
from doubleread.images.fetch import Fetched
from doubleread.report.claims import claim_json
from doubleread.study import BUILT_IN
from doubleread.study.parse import built_in_raw, parse_study
from tests.conftest import draw_images, needed, small_study, write_folder
from tools.reference import FOLDER, MARKED, PAGES, written
from tools.reference.commands import SEE, commands
from tools.reference.json_output import Paths, Said, known, object_of
from tools.reference.store import columns, meanings
from tools.reference.study_file import SECTIONS, chosen, documented
from tools.reference.study_schema import study_schema

PAGE = {name: (FOLDER / name).read_text() for name in (*PAGES, "python.md")}
PLACES = {name: set(re.findall(r"^<!-- generated: (.+) -->$", text, re.MULTILINE)) for name, text in PAGE.items()}


def test_what_is_generated_is_what_the_program_says():
    found = written()
    assert set(found) == {*PAGES, "study.schema.json"}
    for name, now in found.items():
        assert (FOLDER / name).read_text() == now, f"docs/reference/{name} is not what the program says; make reference"


def test_no_part_is_marked_and_not_found():
    for name in PAGES:
        assert (
            PAGE[name].count("<!-- generated: ") == PAGE[name].count("<!-- end -->") == len(MARKED.findall(PAGE[name]))
        )


# --- commands


def test_every_command_says_what_its_exit_codes_mean():
    names = [command.name for command in commands()]
    assert len(names) == len(set(names)) > 15
    assert set(SEE) <= set(names)
    for command in commands():
        assert re.fullmatch(r"Exit codes: 0 fine; 1 .+; 2 bad input.*\.", command.exits), command.name
        assert all(one.meaning != "." for one in command.parameters), command.name


# --- the study file


def test_every_key_of_a_study_file_has_its_table():
    assert documented() - set(SECTIONS) - chosen() == set()
    keys = {f"keys: {spec.__name__}" for spec in SECTIONS}
    assert keys | {f"choices: {part}" for part in ("model", "loss", "optimizer", "schedule")} <= PLACES["study-file.md"]
    headings = {re.sub(r"[^\w\s-]", "", head).strip().lower().replace(" ", "-")
                for head in re.findall(r"^#+ (.+)$", PAGE["study-file.md"], re.MULTILINE)}  # fmt: skip
    assert {place.removeprefix("#") for place in SECTIONS.values()} <= headings


WRITTEN = {
    "by name": {"engine": "ray", "threshold": "sensitivity>=0.95"},
    "rules": {"threshold": [0.3, "youden", {"name": "cost", "false_negative": 5, "false_positive": 1}]},
    "growing": {"seeds": {"min": 6, "max": 8, "until": "decided"}},
    "seeds": {"seeds": [3, 5]},
    "a network of one's own": {"base": {"model": {"name": "nets:Net", "width": 3}}},
    "none": {"base": {"clip_norm": "none", "ema": 0.9}},
}
WRONG = {
    "a key": {"sede": 3},
    "a name": {"base": {"loss": "bec"}},
    "an option": {"base": {"optimizer": {"name": "adam", "rate": 1}}},
    "what must be there": {"base": {"optimizer": "adam"}},
    "a range": {"base": {"batch_size": 0}},
    "a rule": {"threshold": "best"},
    "a rule as it is kept": {"threshold": {"name": "fixed", "value": 0.3}},
    "an engine": {"engine": "cloud"},
    "a kind": {"data": {"kind": "jpeg"}},
    "a name of an experiment": {"experiments": {"Loss!": {"factors": {"loss": ["bce", "ce"]}}}},
}


def changed(more: dict) -> dict:
    study = small_study("phantom")
    return {**study, **{key: {**study[key], **to} if key in ("base", "data") else to for key, to in more.items()}}


def schema_of_a_study():
    needed("jsonschema")
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(study_schema())
    return Draft202012Validator(study_schema())


@pytest.mark.parametrize("more", WRITTEN.values(), ids=WRITTEN)
def test_the_schema_takes_what_the_program_takes(more):
    raw = changed(more)
    if "seeds" in more and isinstance(more["seeds"], dict):
        claim = {"id": "b", "metric": "accuracy", "better": "bce", "than": "ce"}
        raw["experiments"]["loss"]["claims"] = [claim]
    parse_study(raw, place="study.yaml")
    assert list(schema_of_a_study().iter_errors(raw)) == []


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_schema_takes_the_studies_that_are_built_in(name):
    # keys are texts in JSON, as they are to an editor
    assert list(schema_of_a_study().iter_errors(json.loads(json.dumps(built_in_raw(name))))) == []


@pytest.mark.parametrize("more", WRONG.values(), ids=WRONG)
def test_the_schema_refuses_what_the_program_refuses(more):
    raw = changed(more)
    assert not schema_of_a_study().is_valid(raw)
    if "kind" not in more.get("data", {}):
        with pytest.raises(UserError):
            parse_study(raw, place="study.yaml")


# --- Python


def test_every_name_of_the_interface_is_on_its_page():
    shown = set(re.findall(r"^::: doubleread\.(\w+)$", PAGE["python.md"], re.MULTILINE))
    assert shown == set(doubleread.__all__)
    for one in (doubleread.Results, doubleread.Judgement):
        public = [name for name in vars(one) if not name.startswith("_")]
        # every public name of these is shown, so that each needs a docstring
        assert public
        assert all(inspect.getdoc(vars(one)[name]) for name in public)
    assert not re.search(r"members: *(\[|false)", PAGE["python.md"].split("::: doubleread.Results")[1].split(":::")[0])


# --- the store


def test_every_table_and_column_of_a_store_has_a_meaning():
    said = {name: set(found) for name, found in meanings()["tables"].items()}
    assert said == {name: {column for column, _, _ in found} for name, found in columns().items()}
    assert {f"files: {name}" for name in meanings()["files"]} < PLACES["store.md"]


# --- what is printed


@dataclass
class Node:
    """What is said of a place in a JSON value, and of the places in it."""

    path: str = ""
    said: Said | None = None
    inner: dict[str, "Node"] = field(default_factory=dict)

    def at(self, key: str) -> "Node | None":
        """Return the place of a key, by its own name before one that is free."""
        free = (node for name, node in self.inner.items() if "{" in name and re.fullmatch(_free(name), key))
        return self.inner.get(key) or next(free, None)


def _free(name: str) -> str:
    return re.sub(r"\\\{\w+\\\}", ".+", re.escape(name))


def tree_of(paths: Paths) -> Node:
    root = Node()
    for path, said in paths.items():
        node = root
        for token in re.findall(r"\[\]|[^.\[\]]+", path):
            node = node.inner.setdefault(token, Node())
        node.path, node.said = path, said
    return root


TYPES = {"text": str, "number": (int, float), "whole number": int, "true or false": bool, "list": list, "object": dict}


class Compared:
    """Compares values with what is said: `printed` are the paths that were there, by command or object."""

    def __init__(self) -> None:
        self.printed: dict[str, set[str]] = {}
        self.odd: list[str] = []

    def value(self, name: str, paths: Paths, value: object) -> None:
        self.printed.setdefault(name, set())
        self._node(name, tree_of(paths), value)

    def _node(self, name: str, node: Node, value: object) -> None:
        if node.said is not None:
            self.printed[name].add(node.path)
            kind = node.said.kind.removesuffix(" or null")
            if value is None:
                self._expect(kind != node.said.kind or kind in ("null", "any value"), name, node, value)
                return
            if (inner := object_of(kind)) is not None:
                self.value(inner, known().objects[inner], value)
                return
            self._expect(kind == "any value" or _is(value, kind), name, node, value)
            if not node.inner:
                return
        if isinstance(value, dict | list):
            for key, one in value.items() if isinstance(value, dict) else (("[]", one) for one in value):
                below = node.at(key)
                if below is None:
                    self.odd.append(f"{name}: {node.path or '…'} → {key} is not documented")
                else:
                    self._node(name, below, one)
        elif node.said is None:
            self.odd.append(f"{name}: {value!r} is not documented")

    def _expect(self, right: bool, name: str, node: Node, value: object) -> None:
        if not right:
            self.odd.append(f"{name}: {node.path} is {value!r}, not {node.said.kind if node.said else ''}")


def _is(value: object, kind: str) -> bool:
    return isinstance(value, TYPES[kind]) and (isinstance(value, bool) == (kind == "true or false"))


def called(*arguments: object) -> list:
    """Run the program here with --json; return the values that it printed, of `predict` one a line."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.object(sys, "argv", ["doubleread", *map(str, arguments), "--json"]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        contextlib.suppress(SystemExit),
    ):
        cli.main()
    text = out.getvalue()
    assert text, f"{arguments}: {err.getvalue()}"
    return [json.loads(line) for line in text.splitlines()] if arguments[0] == "predict" else [json.loads(text)]


def write_images(root: Path) -> None:
    """Write films with copies, shared subjects and one that cannot be read, and a set of three classes."""
    films = write_folder(root / "films", train=24, test=10)
    shutil.copy(films / "train/NORMAL/normal-003.png", films / "test/NORMAL/normal-099.png")
    (films / "train/NORMAL/normal-098.png").write_bytes(b"no image")
    for part in ("train", "test"):
        for label, name in enumerate("abc"):
            (root / "three" / part / name).mkdir(parents=True)
            for i, pixels in enumerate(draw_images(8, label, 1 + (part == "test"))):
                Image.fromarray(pixels).save(root / "three" / part / name / f"{i}.png")


def studies() -> Iterator[dict]:
    """Yield a study that grows and has all that can be asked for, two that are smaller, one of three classes."""
    data = {
        **small_study("films")["data"],
        "subject": r"-0(\d)",
        "skip_unreadable": True,
        "allow_leakage": "tried here",
    }
    claim = {"id": "b", "metric": "accuracy", "better": "bce", "than": "ce"}
    loss = {**small_study("")["experiments"]["loss"], "claims": [claim]}
    base = {**small_study("")["base"], "epochs": 2}
    scaling = {"path": "data.intensity", "assumed": "unit", "alternatives": ["raw"], "because": "not said"}
    every = {"data": data, "base": base, "experiments": {"loss": loss}}
    more = {"seeds": {"min": 6, "max": 7, "until": "decided"}, "gap": {"leakage": True}}
    said = {"contradictions": [{"about": "a rate", "says": "two", "shown": "one"}], "assumptions": {"scaling": scaling}}
    yield small_study("films", study="losses", **every, **more, **said)
    yield small_study("films", study="again", **every)
    yield small_study("films", study="sealed", test="sealed", **every)
    three = {key: value for key, value in data.items() if key in ("image_size", "intensity", "split")}
    yield small_study(
        "three",
        study="three",
        data={"source": "three", **three},
        base={**base, "loss": "ce"},
        experiments={"loss": {"factors": {"loss": ["ce", "focal"]}}},
    )


def break_a_store(root: Path) -> None:
    """Leave a run under way, one that failed, damaged weights and a damaged set."""
    with closing(sqlite3.connect(root / "store.sqlite")) as database, database:
        (running,), (failed,), (damaged,) = database.execute("SELECT run_id FROM uses WHERE study = 'again' LIMIT 3")
        database.execute("UPDATE runs SET state = 'running' WHERE run_id = ?", (running,))
        database.execute("UPDATE runs SET state = 'failed', reason = 'so' WHERE run_id = ?", (failed,))
    attempt = root / "artifacts" / f"{running}.attempt-1"
    attempt.mkdir()
    (attempt / "progress.jsonl").write_text('{"train_loss": 0.5, "val_loss": 0.6}\n')
    (root / "artifacts" / damaged / "logits.npz").write_bytes(b"short")
    next((root / "data").glob("*/images.npy")).write_bytes(b"short")


def a_job(root: Path) -> list[Waiting]:
    with closing(sqlite3.connect(root / "store.sqlite")) as database:
        ((run,),) = database.execute("SELECT run_id FROM uses WHERE study = 'again' LIMIT 1")
    return [Waiting(job="17", state="PENDING", reason="Priority", starts="N/A", calls=(f"{run}.attempt-1",))]


def everything_called(root: Path) -> Iterator[tuple[str, object]]:
    """Run every command in `root`; yield each value with the name of what says it."""
    for one in ("losses", "again", "sealed", "three"):
        for value in called("run", f"{one}.yaml", *(["--assumptions"] if one == "losses" else [])):
            yield "run", value
    reports = {"a": ("again.yaml",), "all": ("again.yaml", "three.yaml")}
    with patch.dict("doubleread.cli.train.REPORTS", reports), patch("doubleread.cli.train._write"):
        yield "reproduce", called("reproduce", "a")[0]
        yield from (("reproduce", one) for one in called("reproduce", "all")[0])
    for command, *more in (
        ["check", "losses.yaml"], ["lr", "again", "loss/bce", "--steps", 10],
        ["report", "losses", "--compare", "again", "--tables", "tables"], ["report", "three", "--tables", "of-three"],
        ["report", "sealed"], ["report", "sealed", "--unseal"],
        ["track", "again", "--tensorboard", "board"], ["single", "291/400", "72.75%/400", "72%/1000"],
        ["judge", "tables/logits.csv", "--claims", "losses.yaml"], ["prune", "--dry-run"],
        ["new", "films", "--out", "new.yaml"],
    ):  # fmt: skip
        yield command, called(command, *more)[0]
    with patch("doubleread.cli.export.write_onnx", lambda *_: 1e-7):
        yield "export", called("export", "losses", "loss/bce", "--ensemble", "--out", "two", "--onnx", "two.onnx")[0]
    yield "export", called("export", "three", "loss/ce", "--out", "three-of-them.zip")[0]
    for model in ("two", "three-of-them.zip"):
        for value in called("predict", model, "films/train/NORMAL"):
            yield "predict", value
    yield "explain", called("explain", "two", "films/test/NORMAL/normal-001.png", "--out", "maps")[0]
    with patch("doubleread.cli.serve.serve", lambda *_, say, **__: say("http://127.0.0.1:8000/")):
        yield "serve", called("serve")[0]
    small = ["--set", "size=32", "--set", "train_per_class=1", "--set", "test_per_class=1"]
    yield "data phantom", called("data", "phantom", "phantom", *small)[0]
    yield "data describe", called("data", "describe", "films")[0]
    yield "list of data fetch", called("data", "fetch")[0]
    with patch("doubleread.cli.fetch.fetch_set", lambda *_: Fetched(path=Path("x.npz"), bytes=3, fetched=True)):
        yield "data fetch", called("data", "fetch", "pneumoniamnist")[0]
    # the others first: what follows is broken
    check_files(root / "runs")
    break_a_store(root / "runs")
    with patch("doubleread.cli.status.left_in_queue", lambda _: a_job(root / "runs")):
        yield "status", called("status")[0]
    yield "status", called("status", "--verify")[0]


def columns_odd(folder: Path) -> list[str]:
    """Return what is wrong with the columns of the tables that two studies wrote into `folder`."""
    odd = []
    for name, said in known().tables.items():
        there = set()
        for place in ("tables", "of-three"):
            with (folder / place / f"{name}.csv").open() as lines:
                head = next(csv.reader(lines))
            for one in head:
                there.add(one if one in said else next((path for path in said if re.fullmatch(_free(path), one)), one))
        odd += [f"{name}.csv: {column} is not documented" for column in there - set(said)]
        odd += [f"{name}.csv: {column} is not there" for column in set(said) - there]
    return odd


def check_files(runs: Path) -> None:
    """Hold the files of a store against what is said of them."""
    said = meanings()["files"]
    record = min((runs / "artifacts").glob("*/run.json"))
    not_here = {"reason", "trace", "start", "changes_of_first_epoch_sha256"}
    assert set(json.loads(record.read_text())) == set(said["run.json"]) - not_here
    with np.load(record.with_name("logits.npz")) as arrays:
        assert set(arrays) == set(said["logits.npz"])
    data = min((runs / "data").glob("*/meta.json"))
    assert set(json.loads(data.read_text())) == set(said["meta.json"])
    assert data.with_name("cases.csv").read_text().split("\n")[0].split(",") == list(said["cases.csv"])


@pytest.mark.slow
def test_what_is_printed_and_what_is_documented_are_the_same(tmp_path):
    """In one test, for the studies are trained once: every command, every object, every table, the files of a store."""
    for module in ("captum", "fastapi", "tensorboard"):
        needed(module)
    write_images(tmp_path)
    for study in studies():
        (tmp_path / f"{study['study']}.yaml").write_text(json.dumps(study))
    compared, every = Compared(), {**known().commands, **known().objects}
    with contextlib.chdir(tmp_path):
        for name, value in everything_called(tmp_path):
            compared.value(name, known().commands[name], value)
        claim = doubleread.open_results("losses").result.claims[0]
        compared.value("claim", every["claim"], claim_json(replace(claim, without=claim.estimate)))
    assert compared.odd == []
    assert {name: set(said) - compared.printed.get(name, set()) for name, said in every.items()} == {
        name: set() for name in every
    }
    assert columns_odd(tmp_path) == []
    places = {f"json: {name}" for name in known().commands} | {f"object: {name}" for name in known().objects}
    assert places <= PLACES["json.md"]
    assert {command.name for command in commands()} <= set(known().commands)
