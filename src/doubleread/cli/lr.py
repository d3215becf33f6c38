"""`lr`: the learning-rate range test of one arm."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from rich.table import Table

from doubleread.api import find_study
from doubleread.cli.cache import prepared_sets
from doubleread.cli.overrides import overrides
from doubleread.cli.show import err, out, print_json
from doubleread.errors import UserError, WorkFailed, did_you_mean
from doubleread.files import check_target, write_bytes
from doubleread.recipe import OneCycle
from doubleread.report.figures import rendered
from doubleread.report.range_figure import range_figure
from doubleread.runner import Progress, prepare_study
from doubleread.study import Arm, EngineChoice, Study
from doubleread.training.range_test import RangeTest, range_test
from doubleread.training.records import RunSpec

KINDS = ("png", "svg", "pdf")
LINES = 16
"""Rates that are printed."""
BAR = 40


def lr_command(
    name: str,
    arm_name: str,
    data: str | None,
    seed: int,
    low: float,
    high: float,
    steps: int,
    figure: Path | None,
    store: Path,
    settings: list[str],
    as_json: bool,
) -> None:
    """Print the curve of a range test and the rate that it suggests."""
    _check(low, high, figure)
    study = find_study(name, store, overrides(settings, data, None))
    arm = _arm(study, arm_name)
    with prepared_sets(store) as cache, Progress(err(), study.name) as show:
        # a range test is of this machine, wherever the study is trained
        prepared = prepare_study(study, cache, show, engine=EngineChoice(name="local"))
        run = next(run for run in prepared.plan.runs if arm.name in run.uses)
        torch.set_num_threads(arm.recipe.threads)
        spec = RunSpec(
            recipe=arm.recipe,
            seed=seed,
            intensity=arm.data.intensity,
            data=prepared.sets[run.data_hash].run_data(seed),
        )
        found = range_test(
            spec, run.compute, low=low, high=high, steps=steps,
            on_step=lambda done, of: show.reading("raising the rate, step", done, of),
        )  # fmt: skip
    if found.lowest is None:
        raise WorkFailed(f"{arm.name}: the loss is not finite before the first step; see its init file and its pixels")
    if figure is not None:
        write_bytes(figure, rendered(range_figure(found, arm.name), figure.suffix[1:]))
    if as_json:
        print_json(_json(study, arm, seed, found))
    else:
        _print(arm, found)
    if figure is not None:
        err().print(f"wrote {figure}", soft_wrap=True)


def _check(low: float, high: float, figure: Path | None) -> None:
    if not 0 < low < high < math.inf:
        raise UserError("--from, --to", f"got {low:g} and {high:g}", "expected rates above 0, the first one lower")
    if figure is not None:
        if figure.suffix[1:] not in KINDS:
            raise UserError(f"--figure {figure}", "unknown kind of file", f"expected {', '.join(KINDS)}")
        check_target(figure, "--figure")


def _arm(study: Study, name: str) -> Arm:
    found = [arm for arm in study.arms if name in (arm.name, arm.label)]
    if len(found) != 1:
        what = f"no arm {name}" if not found else f"{name} stands in {len(found)} experiments"
        raise UserError(f"{study.place}, ARM", what, did_you_mean(name, [arm.name for arm in study.arms]))
    return found[0]


def _json(study: Study, arm: Arm, seed: int, found: RangeTest) -> dict[str, object]:
    return {
        "study": study.name,
        "arm": arm.name,
        "seed": seed,
        "rates": found.rates_S.tolist(),
        "losses": found.losses_S.tolist(),
        "smoothed": found.smoothed_S.tolist(),
        "lowest": found.lowest,
        "suggestion": found.suggestion,
    }


def _print(arm: Arm, found: RangeTest) -> None:
    table = Table(title=f"{arm.name}: loss while the rate rises", title_justify="left", title_style="bold", box=None,
                  padding=(0, 2, 0, 0))  # fmt: skip
    for column in ("rate", "smoothed loss", ""):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    if len(found.rates_S):
        most = float(found.smoothed_S[0]) * 1.5
        for at in np.unique(np.linspace(0, len(found.rates_S) - 1, LINES).round().astype(int)):
            loss = float(found.smoothed_S[at])
            table.add_row(f"{found.rates_S[at]:.1e}", f"{loss:.4f}", "█" * round(BAR * min(1.0, loss / most)))
    out().print(table)
    key = "schedule.max_lr" if isinstance(arm.recipe.schedule, OneCycle) else "optimizer.lr"
    if found.suggestion is None:
        out().print("the loss never fell: no rate can be suggested; try other bounds (--from, --to) or more --steps")
    else:
        out().print(
            f"suggested {key}: {found.suggestion:.1e}, where the loss falls fastest (lowest at {found.lowest:.1e})."
            " A start for a study of rates, from one seed; not a finding."
        )
