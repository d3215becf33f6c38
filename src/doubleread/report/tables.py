"""Every number of a study as tables, and those tables as CSV and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doubleread.analysis import ArmResult, StudyResult, class_confusion
from doubleread.files import write_json, write_text
from doubleread.late import late
from doubleread.metrics import metric_names
from doubleread.report.claims import claims_frame
from doubleread.report.gaps import gap_frame, thresholds_frame
from doubleread.report.paper import paper_tables
from doubleread.store import EPOCH_FIELDS

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = late("pandas")

INTERVALS = ("lo", "hi", "predicted_lo", "predicted_hi")
CONFUSION = ["true_negative", "false_positive", "false_negative", "true_positive"]
ARM_COLUMNS = ["experiment", "arm", "metric", "seeds", "mean", "sd", *INTERVALS, "reported", "reported_text"]
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def arms_json(result: StudyResult) -> list[dict[str, Any]]:
    """Return every arm for `report --json`: levels, seeds, health, metrics; a number that does not exist is None."""
    return [
        {
            "experiment": arm.arm.experiment,
            "arm": arm.arm.name,
            "levels": arm.arm.levels,
            "seeds": [run.seed for run in arm.done],
            "health": arm.counts,
            "metrics": _metrics_json(result, arm),
            "ensemble": {
                name: {"value": _number(found.value), "lo": _number(found.lo), "hi": _number(found.hi)}
                for name, found in arm.ensemble.items()
            },
        }
        for arm in result.arms
    ]


def _metrics_json(result: StudyResult, arm: ArmResult) -> dict[str, Any]:
    metrics = {}
    for name in metric_names():
        spread = arm.spreads.get(name)
        reported = reported_of(result, arm).get(name)
        if spread is None and reported is None:
            continue
        metrics[name] = {
            "mean": _number(spread.mean) if spread else None,
            "sd": _number(spread.sd) if spread else None,
            **{key: _number(getattr(spread, key)) if spread else None for key in INTERVALS},
            "values": [_number(value) for value in spread.values] if spread else [],
            "reported": reported.value if reported else None,
            "reported_text": reported.text if reported else None,
        }
    return metrics


def reported_of(result: StudyResult, arm: ArmResult) -> dict[str, Any]:
    """Return the reported numbers of an arm by metric."""
    experiment = next(e for e in result.study.experiments if e.name == arm.arm.experiment)
    return {metric: by_arm[arm.arm.name] for metric, by_arm in experiment.reported.items() if arm.arm.name in by_arm}


def arms_table(result: StudyResult) -> pd.DataFrame:
    """Return one row for each arm and metric: seeds, mean, sd, intervals, the reported number, each seed's value."""
    rows = []
    for arm in arms_json(result):
        for name, metric in arm["metrics"].items():
            by_seed = {f"seed_{s}": v for s, v in zip(arm["seeds"], metric["values"], strict=False)}
            rows.append(
                {
                    "experiment": arm["experiment"],
                    "arm": arm["arm"],
                    "metric": name,
                    "seeds": len(arm["seeds"]),
                    "mean": metric["mean"],
                    "sd": metric["sd"],
                    **{key: metric[key] for key in INTERVALS},
                    "reported": metric["reported"],
                    "reported_text": metric["reported_text"],
                    **by_seed,
                }
            )
    table = pd.DataFrame(rows, columns=None if rows else ARM_COLUMNS)
    seeds = [name for name in table.columns if str(name).startswith("seed_")]
    return table.astype(dict.fromkeys(["mean", "sd", *INTERVALS, "reported", *seeds], "float64"))


def ensembles_table(result: StudyResult) -> pd.DataFrame:
    """Return one row for each arm and metric of its seeds averaged as one predictor: seeds, value, 95 % interval."""
    rows = [
        {
            "experiment": arm.arm.experiment,
            "arm": arm.arm.name,
            "metric": name,
            "seeds": len(arm.done),
            "value": found.value,
            "lo": found.lo,
            "hi": found.hi,
            "seed_var": found.seed_var,
            "case_var": found.case_var,
        }
        for arm in result.arms
        for name, found in arm.ensemble.items()
    ]
    columns = ["experiment", "arm", "metric", "seeds", "value", "lo", "hi", "seed_var", "case_var"]
    return pd.DataFrame(rows, columns=columns)


def runs_table(result: StudyResult) -> pd.DataFrame:
    """Return one row for each arm and seed: run, state, reason, health flags, every metric."""
    return pd.DataFrame(
        {
            "experiment": arm.arm.experiment,
            "arm": run.arm,
            "seed": run.seed,
            "run": run.run_id,
            "state": run.state.value,
            "reason": run.reason,
            "weights_hash": run.weights_hash,
            **run.health,
            **run.metrics,
        }
        for arm in result.arms
        for run in arm.runs
    )


def curves_table(result: StudyResult) -> pd.DataFrame:
    """Return one row for each arm, seed and epoch (1 is the first): rate, losses, accuracies, seconds."""
    rows = [
        {
            "experiment": arm.arm.experiment,
            "arm": run.arm,
            "seed": run.seed,
            **{key: value for key, value in epoch.items() if key != "run_id"},
            "epoch": epoch["epoch"] + 1,
        }
        for arm in result.arms
        for run in arm.runs
        for epoch in run.epochs
    ]
    return pd.DataFrame(rows, columns=["experiment", "arm", "seed", *EPOCH_FIELDS])


def logits_table(result: StudyResult) -> pd.DataFrame:
    """Return one row for each arm, seed and validation or test case: subject, split, label, logit or logits."""
    columns = ["arm", "seed", "case", "subject", "split", "label", *logit_columns(result)]
    frames = []
    for arm in result.arms:
        for run in arm.done:
            assert run.logits is not None, "a finished run has logits"
            for split, rows, logits in (
                ("val", run.logits.val_rows, run.logits.val),
                ("test", run.logits.test_rows, run.logits.test),
            ):
                cases = [run.data.cases[row] for row in rows]
                frame = {
                    "arm": run.arm,
                    "seed": run.seed,
                    "case": [case.case for case in cases],
                    "subject": [case.subject for case in cases],
                    "split": split,
                    "label": [case.label for case in cases],
                    **dict(
                        zip(
                            logit_columns(result),
                            logits.reshape(len(logits), len(logit_columns(result))).T,
                            strict=True,
                        )
                    ),
                }
                frames.append(pd.DataFrame(frame))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def logit_columns(result: StudyResult) -> list[str]:
    """Return the columns of logits: `logit`, that of the positive class; of more than two, `logit_0` and so on."""
    if len(result.classes) == 2:
        return ["logit"]
    return [f"logit_{label}" for label in range(len(result.classes))]


def data_table(result: StudyResult) -> pd.DataFrame:
    """Return one row for each prepared set, split and class: how many cases and subjects."""
    rows = [{"data": data.data_hash, **row} for data in result.data for row in data.counts()]
    return pd.DataFrame(rows, columns=["data", "split", "class", "cases", "subjects"])


def claims_table(result: StudyResult) -> pd.DataFrame:
    """Return one row for each claim: estimate, interval, p, verdict, sentence; see `report.claims.COLUMNS`."""
    return claims_frame(result.claims, result.settings)


def assumptions_table(result: StudyResult) -> pd.DataFrame:
    """Return one row for each assumption: setting, assumed, alternatives as JSON, because."""
    rows = [
        {
            "setting": assumption.path,
            "assumed": json.dumps(assumption.assumed),
            "alternatives": json.dumps(assumption.alternatives),
            "because": assumption.because,
        }
        for assumption in result.study.assumptions.values()
    ]
    return pd.DataFrame(rows, columns=["setting", "assumed", "alternatives", "because"])


def contradictions_table(result: StudyResult) -> pd.DataFrame:
    """Return one row for each contradiction in what was reported: about, says, shown."""
    rows = [contradiction.model_dump() for contradiction in result.study.contradictions]
    return pd.DataFrame(rows, columns=["about", "says", "shown"])


def gap_table(result: StudyResult) -> pd.DataFrame:
    """Return one row for each arm and one for their mean; see `report.gaps.gap_frame`."""
    return gap_frame(result.gaps)


def thresholds_table(result: StudyResult) -> pd.DataFrame:
    """Return one row for each arm and rule of choosing a threshold; see `report.gaps.thresholds_frame`."""
    return thresholds_frame(result.gaps)


def findings_table(result: StudyResult) -> pd.DataFrame:
    """Return one row for each case of each example of each finding of the audit."""
    rows = [
        {
            "data": audit.data.data_hash,
            "kind": finding.kind,
            "level": finding.level,
            "example": number,
            "case": case,
            "note": example.note,
        }
        for audit in result.audits
        for finding in audit.findings
        for number, example in enumerate(finding.examples, start=1)
        for case in example.cases or ("",)
    ]
    return pd.DataFrame(rows, columns=["data", "kind", "level", "example", "case", "note"])


def confusion_table(result: StudyResult) -> pd.DataFrame:
    """Return one row for each arm, seed and split: the counts of calls against labels.

    Of two classes, at 0.5; of more, `label_0_called_1` and so on.
    """
    n = len(result.classes)
    names = CONFUSION if n == 2 else [f"label_{label}_called_{called}" for label in range(n) for called in range(n)]
    rows = []
    for arm in result.arms:
        for run in arm.scores:
            for split in ("val",) if result.sealed else ("val", "test"):
                found = class_confusion([run], n, validation=split == "val")
                if found is not None:
                    rows.append(
                        {
                            "arm": run.arm,
                            "seed": run.seed,
                            "split": split,
                            **dict(zip(names, found.ravel().tolist(), strict=True)),
                        }
                    )
    return pd.DataFrame(rows, columns=["arm", "seed", "split", *names])


TABLES: dict[str, Callable[[StudyResult], pd.DataFrame]] = {
    "arms": arms_table,
    "claims": claims_table,
    "ensembles": ensembles_table,
    "runs": runs_table,
    "curves": curves_table,
    "logits": logits_table,
    "data": data_table,
    "gap": gap_table,
    "thresholds": thresholds_table,
    "confusion": confusion_table,
    "findings": findings_table,
    "assumptions": assumptions_table,
    "contradictions": contradictions_table,
}


def write_tables(result: StudyResult, folder: Path) -> list[Path]:
    """Write every table as CSV and as JSON, those of a paper as LaTeX and Markdown; return the files."""
    written = []
    for name, text in paper_tables(result).items():
        write_text(folder / name, text)
        written.append(folder / name)
    for name, make in TABLES.items():
        table = make(result)
        csv, js = folder / f"{name}.csv", folder / f"{name}.json"
        write_text(csv, neutralised(table).to_csv(index=False, lineterminator="\n"))
        write_json(js, json.loads(str(table.to_json(orient="records", double_precision=15))))
        written += [csv, js]
    return written


def neutral(value: Any) -> Any:
    """Return a cell, with an apostrophe before a text that a spreadsheet would run as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def neutralised(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with an apostrophe before texts that a spreadsheet would run as a formula."""
    texts = [column for column in table if not pd.api.types.is_numeric_dtype(table[column])]
    return table.assign(**{column: table[column].map(neutral) for column in texts})


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
