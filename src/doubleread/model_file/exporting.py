"""From a study's results to a saved model: a seed or all of an arm, its threshold, its calibration and its figures."""

# R seeds, N cases

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from doubleread.analysis import ArmResult, StudyResult
from doubleread.analysis.ensembles import AT_A_CUT, ensemble_of
from doubleread.analysis.evidence import RunScores
from doubleread.analysis.gap import rule_of
from doubleread.errors import UserError
from doubleread.files import read_bytes, sha256
from doubleread.metrics import brier, probabilities, scored_by
from doubleread.model_file.document import Calibration, Cut
from doubleread.model_file.likeness import likeness_of
from doubleread.model_file.members import HALF, MOST_WEIGHTS, kept_runs, open_reader
from doubleread.model_file.predictor import Predictor
from doubleread.stats import ensemble_logits
from doubleread.stats.calibration import temperature
from doubleread.stats.multiclass import covariance_of
from doubleread.stats.thresholds import cuts_of
from doubleread.store import Store, weights_path
from doubleread.study.threshold_spec import ThresholdSpec

WITH_CASES = frozenset(
    {"accuracy", "auroc", "balanced_accuracy", "sensitivity", "specificity", "macro_recall", "macro_auroc"}
)
"""Metrics whose chance over the cases is known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Exported:
    """A model ready to be written: the predictor, and its weights by file name.

    `why` says why it is this seed; empty where it was asked for.
    """

    predictor: Predictor
    weights: dict[str, bytes]
    why: str


def export_model(
    result: StudyResult,
    store: Store,
    arm: str,
    *,
    seed: int | None = None,
    ensemble: bool = False,
    threshold: ThresholdSpec | None = None,
) -> Exported:
    """Return one seed of an arm, or all whose weights are kept, as a model.

    Without `seed` and `ensemble` it is the seed with the highest validation AUROC. The threshold is chosen on
    validation, by `threshold`, or is 0.5.

    Raises:
        UserError: there is no such arm or seed, or no weights of it; or a threshold that cannot be chosen.
    """
    _, rows = kept_runs(store, result.study.name, arm)
    found = result.of(arm)
    done = {run.seed for run in found.done}
    kept = [row["seed"] for row in rows if row["seed"] in done]
    if not kept or (seed is not None and seed not in kept):
        there = ", ".join(map(str, kept)) or "none"
        which = "" if seed is None else f" of seed {seed}"
        raise UserError(f"arm {arm}", f"no weights{which} are kept", f"expected one of {there}")
    seeds, why = _chosen(found, kept, seed, ensemble)
    predictor = open_reader(store, result.study.name, arm, seeds)
    scores = [run.scores() for run in found.done if run.seed in predictor.seeds]
    cut, fitted, remarks = _fitted(scores, threshold, len(predictor.classes))
    data = next(data for data in result.data if data.data_hash == predictor.document.data_hash)
    remarks += [*data.remarks(), *(["its test scores are sealed, and left out"] if result.sealed else [])]
    if ensemble and len(scores) < len(found.done):
        remarks.append(f"{len(scores)} of {len(found.done)} seeds: of the others no weights are kept")
    if data.meta["kind"] == "phantom":
        remarks.insert(0, "synthetic images from a digital phantom: no patient was imaged")
    document = predictor.document.model_copy(
        update={
            "threshold": cut,
            "calibration": fitted,
            "likeness": likeness_of(data),
            "metrics": _metrics(found, scores, 0.0 if cut is None else cut.logit) | _calibrated(scores, fitted),
            "remarks": remarks,
            "environment": dict(next(iter(store.environments([one.run for one in predictor.document.members])), {})),
        }
    )
    weights = {
        member.weights: read_bytes(weights_path(store.root, member.run), MOST_WEIGHTS)
        for member in predictor.document.members
    }
    if any(sha256(weights[member.weights]) != member.sha256 for member in predictor.document.members):
        raise UserError(f"arm {arm}", "its weights have changed meanwhile", "", "export it again")
    return Exported(predictor=replace(predictor, document=document), weights=weights, why=why)


def _chosen(arm: ArmResult, kept: Sequence[int], seed: int | None, ensemble: bool) -> tuple[Sequence[int], str]:
    """Return the seeds that are taken of those whose weights are kept; of one that nobody asked for, why it is it."""
    if ensemble or seed is not None:
        return kept if seed is None else [seed], ""
    if len(kept) == 1:
        return kept, "the only seed whose weights are kept"
    name, label = ("val_auroc", "AUROC") if "val_auroc" in arm.done[0].metrics else ("val_macro_auroc", "macro AUROC")
    best = max((run for run in arm.done if run.seed in kept), key=lambda run: (run.metrics[name], -run.seed)).seed
    return [best], f"the highest validation {label} of {len(kept)} seeds"


def _fitted(
    scores: Sequence[RunScores], threshold: ThresholdSpec | None, classes: int
) -> tuple[Cut | None, Calibration | None, list[str]]:
    """Return where the model calls, its temperature, and what is to be said of either."""
    if classes > 2:
        if threshold is not None:
            raise UserError("--threshold", f"it has no effect with {classes} classes", "", "leave it out")
        return None, None, ["no calibration is fitted of more than two classes"]
    pairs = [run.val for run in scores if run.val is not None]
    if not pairs or any(cases.key != pairs[0][0].key for cases, _ in pairs):
        if threshold is not None and threshold.name != "fixed":
            raise UserError(
                "--threshold", "each seed has validation images of its own", "expected a probability", "or use --seed"
            )
        cut = HALF if threshold is None else _cut(threshold, np.zeros(0), np.zeros(0))
        return cut, None, ["no calibration: each seed has validation images of its own"]
    labels_N = pairs[0][0].labels_N
    joined_N = ensemble_logits(np.stack([logits for _, logits in pairs]).astype(np.float64))
    cut = HALF if threshold is None else _cut(threshold, labels_N, joined_N)
    return cut, Calibration(temperature=temperature(labels_N, joined_N), cases=len(labels_N)), []


def _cut(spec: ThresholdSpec, labels_N: np.ndarray, logits_N: np.ndarray) -> Cut:
    rule = rule_of(spec)
    if not callable(rule):
        return Cut(rule=spec.label, chosen=False, probability=rule, logit=math.log(rule / (1 - rule)))
    cuts = cuts_of(labels_N, logits_N)
    logit = float(cuts.thresholds[cuts.chosen(rule(float(labels_N.mean())), np.ones((len(labels_N), 1)))][0])
    return Cut(rule=spec.label, chosen=True, probability=float(probabilities(np.array([logit]))[0]), logit=logit)


def _metrics(arm: ArmResult, scores: Sequence[RunScores], cut: float) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return the figures of the model itself, which calls above `cut`, and of its arm's seeds, which call above 0."""
    groups: dict[str, dict[str, dict[str, float | None]]] = {
        "seeds": {
            name: _finite({"mean": spread.mean, "sd": spread.sd, "lo": spread.lo, "hi": spread.hi})
            for name, spread in arm.spreads.items()
        }
    }
    if len(scores) > 1:
        groups["ensemble"] = {
            name: _finite({"value": one.value, "lo": one.lo, "hi": one.hi})
            for name, one in ensemble_of(scores, cut).items()
        }
    else:
        groups["run"] = {name: _of_run(name, value, scores[0], cut) for name, value in scores[0].metrics.items()}
    return groups


def _calibrated(
    scores: Sequence[RunScores], fitted: Calibration | None
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return the log loss and the Brier score on test before and after calibration.

    Nothing where none was fitted, test is sealed, or each seed has test images of its own.
    """
    cases, first_N = scores[0].test
    if fitted is None or not len(first_N) or any(run.test[0].key != cases.key for run in scores):
        return {}
    joined_N = ensemble_logits(np.stack([run.test[1] for run in scores]).astype(np.float64))
    forms = {"log_loss": _log_loss, "brier": brier}
    return {
        "calibration": {
            name: _finite(
                {"before": form(cases.labels_N, joined_N), "after": form(cases.labels_N, joined_N / fitted.temperature)}
            )
            for name, form in forms.items()
        }
    }


def _log_loss(labels_N: np.ndarray, logits_N: np.ndarray) -> float:
    """Return the mean of −log of the probability of the class that is right."""
    return float(np.logaddexp(0.0, np.where(labels_N == 1, -logits_N, logits_N)).mean())


def _of_run(name: str, value: float, run: RunScores, cut: float) -> dict[str, float | None]:
    """Return one run's value; where its chance over the cases is known, with the 95 % interval (normal)."""
    scored = run.val if name.startswith("val_") else run.test
    base = name.removeprefix("val_")
    if base not in (WITH_CASES | AT_A_CUT) or scored is None or not len(scored[1]):
        return _finite({"value": value})
    cases, logits_N = scored
    less_N = logits_N - cut if base in AT_A_CUT and cut else logits_N
    if less_N is not logits_N:
        value = scored_by(logits_N)[base](cases.labels_N, less_N)
    if base not in WITH_CASES:
        return _finite({"value": value})
    variance = float(covariance_of(base, less_N[None], cases.labels_N, cases.subjects_N)[0, 0])
    half = 1.959964 * variance**0.5
    return _finite({"value": value, "lo": max(value - half, 0.0), "hi": min(value + half, 1.0)})


def _finite(found: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in found.items()}
