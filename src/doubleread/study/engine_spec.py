"""Where runs are trained: the `engine` block of a study, and the site file of whoever trains it. Changes no result."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError

from doubleread.errors import UserError, did_you_mean
from doubleread.files import config_folder, user_path
from doubleread.recipe.spec import NotNegative, Positive, Spec, Text, WholeFromOne, expecting
from doubleread.study import problems
from doubleread.study.yaml_file import read_mapping

VARIABLE = "DOUBLEREAD_SITE"
ADDRESS_VARIABLE = "RAY_ADDRESS"
EngineName = Literal["local", "ray", "slurm"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
LEAST_MINUTES = 1
Word = Annotated[
    # a study file is exchanged: a line break or a quote could end the comment of the script that it stands in
    Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_.,:+&|*()\[\]!@/=%-]{1,200}$")],
    expecting("a name as sbatch has it, without spaces and quotes"),
]
"""What Slurm counts in."""


class EngineSpec(Spec):
    """The `engine` block of a study: where its runs are trained, and what a run or a job asks for there."""

    name: Annotated[EngineName, expecting("local, ray or slurm")]
    """This machine, a cluster of Ray, or the queue of Slurm."""
    gpus: NotNegative = 0.0
    """GPUs of a run with Ray, where it may be a part of one; of a job with Slurm. With GPUs, runs are trained on CUDA.
    """
    retries: Annotated[int, Field(strict=True, ge=0, le=100), expecting("a whole number from 0 to 100")] = 3
    """How often Ray makes a lost run again."""
    partition: Word | None = None
    """Of a job of Slurm, as sbatch has it."""
    account: Word | None = None
    """Of a job of Slurm, as sbatch has it."""
    qos: Word | None = None
    """Of a job of Slurm, as sbatch has it."""
    constraint: Word | None = None
    """Of a job of Slurm, as sbatch has it: ask for one kind of machine."""
    cpus: WholeFromOne | None = None
    """Cores of a job of Slurm, which makes `cpus` ÷ `threads` runs at once; the recipe's `threads` where it is left
    out."""
    memory_gb: Positive | None = None
    """Memory of a job of Slurm, for all runs that it makes at once, in GiB."""
    minutes: Annotated[int, Field(strict=True, ge=LEAST_MINUTES), expecting(f"a whole number ≥ {LEAST_MINUTES}")] = 60
    """The time limit of a job of Slurm, in minutes."""
    batch_minutes: NotNegative = 10.0
    """Runs that are estimated to take less than this together, in minutes, share a job of Slurm; 0 for a job each."""
    environment: Text | None = None
    """The name of one of the environments in the site file, for jobs of Slurm."""


class SiteSpec(Spec):
    """What a site file says of one engine: what a study may say, and what is for the user alone to say."""

    address: Text | None = None
    """Of a cluster of Ray: `host:port`, `auto` on one of its machines, or `local` for one on this machine."""
    setup: tuple[Text, ...] = ()
    """Lines of shell that a job of Slurm begins with."""
    environments: dict[Text, tuple[Text, ...]] = Field(default_factory=dict)
    """Such lines by name, one of which a study may choose."""
    options: dict[Text, Text | int | bool] = Field(default_factory=dict)
    """Further options of sbatch, by name, but for those that the engine sets itself."""


class EngineChoice(EngineSpec, SiteSpec):
    """An engine with everything that is known about it: the study's own words go before those of the site file."""


USED: dict[str, frozenset[str]] = {
    "local": frozenset(),
    "ray": frozenset({"gpus", "retries", "address"}),
    "slurm": frozenset({*EngineSpec.model_fields, *SiteSpec.model_fields} - {"retries", "address"}),
}
"""What has an effect with each engine, beside its name."""
KEY_OF = {
    "account": "account",
    "constraint": "constraint",
    "cpus_per_task": "cpus",
    "gpus_per_node": "gpus",
    "mem": "memory_gb",
    "partition": "partition",
    "qos": "qos",
    "time": "minutes",
}
"""Options of sbatch that have a key of their own."""
OURS = frozenset({"array", "clusters", "error", "job_name", "open_mode", "output", "signal"})
"""Options of sbatch by which jobs are found again, and told before their time is over."""
LEAST_GB = 0.001


def refuse_without_effect(spec: EngineSpec, name: str, place: str) -> None:
    """Stop where a block says something that its engine does not heed.

    Raises:
        UserError: it does, or asks for what there is not: a part of a GPU with Slurm, or next to no memory.
    """
    for key in sorted(spec.model_fields_set - USED[name] - {"name"}):
        raise UserError(f"{place}.{key}", f"{key} has no effect with {name}", "", "delete it")
    if name == "slurm" and spec.gpus % 1:
        raise UserError(f"{place}.gpus", "a job of Slurm has whole GPUs", "expected a whole number")
    if (memory := spec.memory_gb) is not None and memory < LEAST_GB:
        raise UserError(f"{place}.memory_gb", f"got {memory:g}", f"expected a number ≥ {LEAST_GB:g}")
    if name == "ray" and spec.gpus > 1 and spec.gpus % 1:
        raise UserError(f"{place}.gpus", f"got {spec.gpus:g}", "expected a part of one GPU, or a whole number of them")


def engine_of(block: EngineSpec | None, name: str | None, place: str) -> EngineChoice:
    """Return what `engine_planned` does, ready to run on.

    Raises:
        UserError: as there, or the environment that is asked for or the address is none.
    """
    engine = engine_planned(block, name)
    if engine.environment is not None and engine.environment not in engine.environments:
        known = did_you_mean(engine.environment, engine.environments) if engine.environments else "it has none"
        raise UserError(f"{place}, engine.environment", f"the site file has no {engine.environment}", known)
    return _with_address(engine) if engine.name == "ray" else engine


def engine_planned(block: EngineSpec | None, name: str | None) -> EngineChoice:
    """Return where runs are trained: the engine called `name`, else that of the study's block, else this machine.

    A block about another engine than `name` is not heeded. It says enough for a plan, and perhaps not for a run.

    Raises:
        UserError: there is no such engine, or the site file does not fit.
    """
    if name is not None and name not in ENGINES:
        raise UserError("--engine", f'got "{name}"', did_you_mean(name, ENGINES))
    chosen = name or (block.name if block is not None else "local")
    said = block.model_dump(exclude_unset=True) if block is not None and block.name == chosen else {}
    return EngineChoice.model_validate({**_site(chosen), **said, "name": chosen})


def site_file() -> Path | None:
    """Return where the site file may be: `$DOUBLEREAD_SITE`, else `site.yaml` beside the user's settings, if any.

    Raises:
        UserError: the variable names none.
    """
    if given := os.environ.get(VARIABLE):
        path = user_path(given, VARIABLE)
        if not path.is_file():
            raise UserError(VARIABLE, f"there is no file {given}")
        return path
    try:
        return config_folder() / "site.yaml"
    except OSError:
        return None


def _site(name: str) -> Mapping[str, Any]:
    path = site_file()
    if path is None or not path.is_file():
        return {}
    raw = read_mapping(path)
    for key in raw:
        if key not in ENGINES:
            raise UserError(f"{path}, {key}", f'unknown key "{key}"', did_you_mean(str(key), ENGINES))
    block = {} if raw.get(name) is None else raw[name]
    if isinstance(block, dict) and "name" in block:
        raise UserError(f"{path}, {name}.name", 'unknown key "name"', "", "delete it")
    try:
        checked = EngineChoice.model_validate({**block, "name": name} if isinstance(block, dict) else block)
    except ValidationError as error:
        raise problems.user_error(
            error, block, lambda at: ".".join([f"{path}, {name}", *map(str, at)]), EngineChoice
        ) from error
    refuse_without_effect(checked, name, f"{path}, {name}")
    return checked.model_dump(exclude_unset=True) | {"options": _options(checked, f"{path}, {name}.options")}


def _options(site: SiteSpec, place: str) -> dict[str, Any]:
    """Return options of sbatch as submitit has them, without hyphens."""
    found: dict[str, Any] = {}
    for key, value in site.options.items():
        name = key.lstrip("-").replace("-", "_")
        if name in OURS:
            raise UserError(f"{place}.{key}", f"doubleread sets {key} itself", "", "delete it")
        if name in KEY_OF:
            raise UserError(f"{place}.{key}", f"{key} has a key of its own", "", f"set {KEY_OF[name]} instead")
        if name in found:
            raise UserError(f"{place}.{key}", f"{key} stands there twice", "", "delete one")
        found[name] = value
    return found


def _with_address(engine: EngineChoice) -> EngineChoice:
    """Take Ray's own variable where the site file says nothing; a cluster is joined from one of its machines."""
    address = engine.address or os.environ.get(ADDRESS_VARIABLE) or None
    if address is not None and "://" in address:
        raise UserError(
            "the address of Ray",
            f"{address} is that of a client",
            "expected host:port, or auto",
            "start doubleread on a machine of the cluster, as with ray job submit",
        )
    return engine.model_copy(update={"address": None if address == "local" else address})
