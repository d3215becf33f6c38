"""`check`: read the images, look for leaks, print the plan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from doubleread import runner
from doubleread.analysis import Audited, Evidence, Planned, audited, planned, stored_evidence
from doubleread.api import find_study
from doubleread.cli.cache import prepared_sets
from doubleread.cli.gap import print_audit
from doubleread.cli.overrides import overrides
from doubleread.cli.show import counted, err, out, print_json
from doubleread.dataset import PreparedSet, refuse_leaks
from doubleread.errors import UserError
from doubleread.late import late
from doubleread.nouns import State
from doubleread.report import audit_json
from doubleread.report.sentences import amount
from doubleread.report.words import recipe_text, seeds_of
from doubleread.runner import Progress, in_words
from doubleread.stats import FEWEST_SEEDS
from doubleread.store import DATABASE, open_store
from doubleread.study import Arm, PlannedRun, Study, variants_of

if TYPE_CHECKING:
    from doubleread.runner import Estimate, Prepared
    from doubleread.training import Cost

torch = late("torch")


def check_command(
    name: str,
    data: str | None,
    seeds: int | None,
    workers: int | None,
    device: str,
    assumptions: bool,
    store: Path,
    settings: list[str],
    as_json: bool,
) -> None:
    """Print what `run` would do."""
    study = find_study(name, store, overrides(settings, data, seeds))
    with prepared_sets(store) as cache, Progress(err(), study.name) as show:
        variants = variants_of(study) if assumptions else ()
        prepared = runner.prepare_study(study, cache, show, variants, device, refuse=False)
        audits = [audited(prepared.sets[key], sealed=study.sealed) for key in prepared.own]
        at_once, _ = runner.workers_for(prepared.plan, prepared.sets, workers)
        plan = _plan(study, prepared, _stored(store, prepared), at_once)
        claims = planned(study, _evidence(study, prepared, store), _test_cases(prepared))
    if as_json:
        findings = [audit_json(audit) for audit in audits]
        print_json({**plan, "claims": [_claim(claim) for claim in claims], "audit": findings})
    else:
        _print(study, prepared, plan, audits)
        if claims:
            _print_claims(study, claims)
    # what leaks has been shown, with its cases; whether it may is the study's to say
    for audit in audits:
        refuse_leaks(audit.data.meta)


def _stored(store: Path, prepared: Prepared) -> dict[str, State]:
    if not (store / DATABASE).is_file():
        return {}
    with open_store(store) as opened:
        return opened.states([run.run_id for run in prepared.plan.runs])


def _evidence(study: Study, prepared: Prepared, store: Path) -> Evidence | None:
    """Return the planned runs that the store already has."""
    if not (store / DATABASE).is_file():
        return None
    with open_store(store) as opened:
        return stored_evidence(study, prepared.plan.run_of, opened)


def _test_cases(prepared: Prepared) -> tuple[int, int]:
    """Return the test cases that are not of class 1, and those that are; of several sets, the smallest."""
    labels = min((data.labels[data.rows("test")] for data in prepared.sets.values()), key=len)
    return int((labels != 1).sum()), int((labels == 1).sum())


def _claim(found: Planned) -> dict[str, Any]:
    claim = found.claim
    return {
        "id": claim.id,
        "role": claim.role,
        "metric": claim.metric,
        "margin": claim.margin,
        "mdd": None if math.isnan(found.mdd) else found.mdd,
        "at_least": found.at_least,
        "source": found.source,
        "seeds_needed": found.seeds_needed,
    }


def _print_claims(study: Study, claims: Sequence[Planned]) -> None:
    table = Table(title="Smallest detectable differences (80 % power, corrected for the number of claims)",
                  title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))  # fmt: skip
    for name in ("claim", "margin", "detectable", "seeds for the margin", "from"):
        table.add_column(name, justify="left" if name in ("claim", "from") else "right")
    for found in claims:
        metric = found.claim.metric
        mdd = "–" if math.isnan(found.mdd) else f"{'≥ ' if found.at_least else ''}{amount(metric, found.mdd)}"
        needed = "–" if math.isnan(found.mdd) else f"{found.seeds_needed:,}" if found.seeds_needed else "more images"
        needed = f"≥ {needed}" if found.at_least and found.seeds_needed else needed
        table.add_row(Text(found.claim.id), amount(metric, found.claim.margin), mdd, needed, found.source)
    out().print()
    out().print(table)
    if len(study.seeds) < FEWEST_SEEDS:
        out().print(f"seeds: {len(study.seeds)}, too few for a verdict: it takes {FEWEST_SEEDS}")
    if any(math.isnan(found.mdd) for found in claims):
        out().print("nothing known: give prior: {METRIC: {seed_sd: NUMBER}} in the study, or train two seeds first")


def _plan(study: Study, prepared: Prepared, states: dict[str, State], workers: int) -> dict[str, Any]:
    runs = prepared.plan.runs
    missing = [run for run in runs if states.get(run.run_id) not in (State.DONE, State.DIVERGED)]
    torch.set_num_threads(1)
    estimate = runner.Estimate(prepared.sets)
    seconds = size = 0.0
    for run in missing:
        if run.compute.device == "cuda" and not torch.cuda.is_available():
            # the device is elsewhere
            seconds = math.nan
            continue
        cost = _measured(run, estimate)
        seconds += estimate.steps(run) * cost.step_seconds
        size += cost.weight_bytes if study.keep_weights == "all" else 0
    return {
        "study": study.name,
        "arms": [_arm(arm) for arm in study.arms],
        "seeds": list(study.seeds),
        "runs": {"planned": len(runs), "there": len(runs) - len(missing), "to_train": len(missing)},
        "computed": [asdict(compute) for compute in dict.fromkeys(run.compute for run in runs)],
        "workers": workers,
        "seconds": None if math.isnan(seconds) else seconds / workers,
        "bytes": size + sum(_bytes(data) for data in prepared.sets.values()),
        "data": [_data(data) for data in prepared.sets.values()],
    }


def _time(seconds: float | None) -> str:
    return "unknown time" if seconds is None else f"about {in_words(seconds)}"


def _measured(run: PlannedRun, estimate: Estimate) -> Cost:
    try:
        return estimate.cost(run)
    except (RuntimeError, MemoryError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            run.uses[0], f"cannot be trained ({reason})", "", "make the model or the batch smaller"
        ) from error


def _arm(arm: Arm) -> dict[str, Any]:
    data = arm.data.model_dump(mode="json", exclude={"source"})
    return {
        "experiment": arm.experiment,
        "arm": arm.name,
        "levels": arm.levels,
        "recipe": arm.recipe.complete(),
        "data": data,
    }


def _data(data: PreparedSet) -> dict[str, Any]:
    return {
        "source": data.meta["source"],
        "kind": data.meta["kind"],
        "hash": data.data_hash,
        "listed": data.meta["listed"],
        "unreadable": data.meta["unreadable"],
        "subject_rule": data.meta["subject_rule"],
        "counts": data.counts(),
        "audit": data.meta["audit"],
        "remarks": data.remarks(),
    }


def _bytes(data: PreparedSet) -> int:
    return int(data.images.nbytes)


def _print(study: Study, prepared: Prepared, plan: dict[str, Any], audits: Sequence[Audited]) -> None:
    console = out()
    console.print(f"{study.name}: {study.question}\n")
    for audit in audits:
        data = audit.data
        console.print(f"data: {data.meta['source']} ({data.meta['kind']}), {len(data.cases):,} cases", soft_wrap=True)
        print_audit(console, audit)
    console.print()
    for experiment in study.experiments:
        console.print(f"{experiment.title}", style="bold")
        for arm in experiment.arms:
            console.print(f"  {arm.label}: {recipe_text(arm)}")
    runs = plan["runs"]
    console.print(
        f"\n{counted(len(study.arms), 'arm')} × {'at most ' if study.looks else ''}{counted(len(study.seeds), 'seed')}:"
        f" {counted(runs['planned'], 'different run')},"
        f" {runs['there']} of them trained already, {runs['to_train']} to train"
    )
    console.print(
        f"{_time(plan['seconds'])} with {plan['workers']} at once, {plan['bytes'] / 2**20:,.0f} MiB on the disk"
    )
    if study.looks is not None:
        console.print(f"seeds: {seeds_of(study)}")
    console.print(f"thresholds beside 0.5: {', '.join(rule.label for rule in study.thresholds)}")
    if study.measures_leakage:
        console.print("leakage: every arm that splits by case is trained on a split by groups too")
    how = "; ".join(", ".join(compute.values()) for compute in plan["computed"])
    console.print(f"computed by: {how}")
