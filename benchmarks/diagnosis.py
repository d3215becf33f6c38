"""The tool on trial: phantom studies with a known cause of the gap. Does the diagnosis name it, do the intervals hold?

Every draw is a phantom of another seed: new subjects in training, validation and test. Small perceptrons are trained on
it, 8 seeds a study, and diagnosed by the same code that writes the report. The truth of each part of the gap comes from
10,000 phantom cases of each kind, scored by further seeds of the same recipe. Run: python benchmarks/diagnosis.py DRAWS
FILE; FILE collects a line for each draw, is continued where there is one, and the table goes to standard output.
"""

# R seeds, N cases, M thresholds

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import binom

from doubleread.analysis import CaseSet, RunScores, audited, gaps_of
from doubleread.dataset import PreparedSet, prepare
from doubleread.images import PhantomSource, PhantomSpec
from doubleread.images.thorax import draw_thorax, render
from doubleread.nouns import RunData, Source
from doubleread.recipe import Recipe
from doubleread.recipe.data import DataSpec
from doubleread.seeds import stream
from doubleread.stats import PARTS, Estimate
from doubleread.training import train

SIZE = 32
SEEDS = 8
POPULATION = 5000
"""Cases of each class and kind that the truth is taken from."""
LESS, WEAK, FAINT, DIM, DIMMER = -0.5, 0.4, 0.05, 0.5, 0.15
"""Stops of exposure, and contrasts of the finding."""
CLASSES = ("NORMAL", "PNEUMONIA")


@dataclass(frozen=True, kw_only=True)
class Family:
    """Scenarios that share their training and validation images, and so their trained models.

    `usual` is the population that these images come from; `more_seeds` the further seeds whose mean stands for that of
    all seeds: where they differ much, few of them would be a truth less certain than the interval.
    """

    knobs: dict[str, Any] = field(default_factory=dict)
    epochs: int = 15
    grouped: bool = False
    usual: str = "usual"
    more_seeds: int = 40


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One cause, or two: what is done to the test part, and what the diagnosis should say."""

    family: str
    knobs: dict[str, Any] = field(default_factory=dict)
    kind: str = ""
    parts: tuple[str, ...] = ()
    suspect: str = ""


FAMILIES = {
    "balanced": Family(),
    "mostly positive": Family(knobs={"contrast": DIM, "train_prevalence": 0.8}, usual="dim"),
    # the finding is next to invisible and the subjects come many times: what is learned is who they are
    "many images a subject": Family(
        knobs={
            "contrast": FAINT,
            "repeat_subjects": 1.0,
            "most_images": 30,
            "train_per_class": 800,
            "test_per_class": 400,
        },
        epochs=60,
        grouped=True,
        usual="faint",
        more_seeds=12,
    ),
    "copies": Family(
        knobs={"contrast": FAINT, "train_duplicates": 400}, epochs=60, grouped=True, usual="faint", more_seeds=12
    ),
}
SCENARIOS = {
    "no cause": Scenario(family="balanced", kind="none"),
    "prevalence": Scenario(family="mostly positive", knobs={"prevalence": 0.2}, parts=("prevalence",)),
    "exposure": Scenario(family="balanced", knobs={"exposure_shift": LESS}, parts=("threshold",)),
    "weaker findings": Scenario(family="balanced", knobs={"test_contrast": WEAK}, parts=("ranking",)),
    "leaked subjects": Scenario(family="many images a subject", parts=("leakage",), suspect="shared subjects"),
    "duplicates": Scenario(family="copies", parts=("leakage",), suspect="duplicates"),
    "mislabelled cases": Scenario(
        family="balanced", knobs={"test_label_noise": 0.15}, parts=("ranking",), suspect="wrong labels"
    ),
    "exposure and weaker findings": Scenario(
        family="balanced", knobs={"exposure_shift": LESS, "test_contrast": WEAK}, parts=("threshold", "ranking")
    ),
    "prevalence and weaker findings": Scenario(
        family="mostly positive", knobs={"prevalence": 0.3, "test_contrast": DIMMER}, parts=("prevalence", "ranking")
    ),
}


class Remembered:
    """A phantom whose images are rendered once, however many studies of a draw ask for them."""

    kind = "npy"

    def __init__(self, spec: PhantomSpec, seen: dict[str, np.ndarray]) -> None:
        self._source, self._seen = PhantomSource(spec), seen
        self.items, self.location = self._source.items, self._source.location

    def digest(self, index: int) -> str:
        return self._source.digest(index)

    def mode(self, index: int) -> str:
        return self._source.mode(index)

    def read(self, index: int, *, colour: bool = False) -> np.ndarray:
        key = self.digest(index)
        if key not in self._seen:
            self._seen[key] = self._source.read(index)
        return self._seen[key]


def spec_of(seed: int, family: Family, knobs: dict[str, Any]) -> PhantomSpec:
    """Return the phantom of a draw: 1,000 images to develop on and 500 to test where the family says nothing else."""
    base: dict[str, Any] = {
        "train_per_class": 500,
        "test_per_class": 250,
        "exposure_shift": 0.0,
        "repeat_subjects": 0.0,
    }
    return PhantomSpec(**{**base, "seed": seed, "size": SIZE, **family.knobs, **knobs})


def prepared(source: Source, by: str, folder: Path) -> PreparedSet:
    """Return the prepared set of a phantom, a quarter of its training part for validation."""
    data = DataSpec.model_validate(
        {
            "source": "phantom",
            "image_size": SIZE,
            "intensity": "standard",
            "positive": "PNEUMONIA",
            "split": {"val": 0.25, "by": by, "seed": 0},
            "subject": "given",
            "allow_leakage": "it is what is looked for",
        }
    )
    return prepare(source, data, folder)


def recipe_of(family: Family) -> Recipe:
    """Return how the models of a family are trained."""
    return Recipe.model_validate(
        {
            "model": {"name": "mlp", "hidden": [32 if family.epochs < 30 else 64]},
            "loss": "bce",
            "optimizer": {"name": "adam", "lr": 1e-3},
            "schedule": "constant",
            "batch_size": 32,
            "epochs": family.epochs,
        }
    )


def drawn(label: int, contrast: float, shift: float, subjects: Sequence[tuple[int, int]], seed: int) -> np.ndarray:
    """Return phantom images, (N, size, size), of (subject, number) pairs."""
    images = []
    for subject, number in subjects:
        thorax = draw_thorax(
            stream("phantom", seed, "subject", subject),
            stream("phantom", seed, "image", subject, number),
            contrast=contrast if label else 0.0,
            exposure_shift=shift,
        )
        noise = stream("phantom", seed, "quanta", subject, number).standard_normal((SIZE, SIZE), dtype=np.float32)
        images.append(render(thorax, noise))
    return np.stack(images)


def populations(folder: Path) -> dict[str, np.ndarray]:
    """Return 10,000 cases of each kind, negatives first, made once and kept in `folder`."""
    kinds = {
        "usual": (1.0, 0.0),
        "exposure": (1.0, LESS),
        "weaker": (WEAK, 0.0),
        "both": (WEAK, LESS),
        "faint": (FAINT, 0.0),
        "dim": (DIM, 0.0),
        "dimmer": (DIMMER, 0.0),
    }
    found = {}
    for name, (contrast, shift) in kinds.items():
        path = folder / f"{name}.npy"
        if not path.is_file():
            numbers = [(10**6 + label * POPULATION + i, 1) for label in (0, 1) for i in range(POPULATION)]
            halves = [numbers[:POPULATION], numbers[POPULATION:]]
            images = np.concatenate([drawn(label, contrast, shift, halves[label], 10**6) for label in (0, 1)])
            np.save(path, images)
        found[name] = np.load(path, mmap_mode="r")
    return found


POPULATION_OF = {
    "no cause": "usual",
    "prevalence": "dim",
    "exposure": "exposure",
    "weaker findings": "weaker",
    "leaked subjects": "faint",
    "duplicates": "faint",
    "mislabelled cases": "usual",
    "exposure and weaker findings": "both",
    "prevalence and weaker findings": "dimmer",
}


@dataclass(frozen=True, kw_only=True)
class Trained:
    """One seed on one set: logits of validation, and of whatever images were asked for beside it."""

    val: np.ndarray
    extra: dict[str, np.ndarray]


def trained(family: Family, data: PreparedSet, extra: dict[str, np.ndarray], seeds: Sequence[int]) -> list[Trained]:
    """Train a family's recipe on a set, and score images that it does not know."""
    known = data.run_data(0)
    images = np.concatenate([data.images, *extra.values()])
    test = np.arange(len(data.images), len(images))
    everything = RunData(
        images=images,
        labels=np.concatenate([known.labels, np.arange(len(test)) % 2]),
        train=known.train,
        val=known.val,
        test=test,
    )
    ends = np.cumsum([len(part) for part in extra.values()])
    found = []
    for seed in seeds:
        result = train(recipe_of(family), seed, "standard", everything)
        parts = np.split(result.test_logits, ends[:-1])
        found.append(Trained(val=result.val_logits, extra=dict(zip(extra, parts, strict=True))))
    return found


def rates(negative_N: np.ndarray, positive_N: np.ndarray, thresholds_M: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sensitivity and specificity at thresholds, (M,) each."""
    sens = 1 - np.searchsorted(np.sort(positive_N), thresholds_M, side="right") / len(positive_N)
    return sens, np.searchsorted(np.sort(negative_N), thresholds_M, side="right") / len(negative_N)


def accuracies(scores: tuple[np.ndarray, np.ndarray], prevalence: float, noise: float) -> tuple[float, float]:
    """Return accuracy at 0.5 and at the best threshold, where a share of the labels is the other class."""
    thresholds_M = np.concatenate([[0.0], np.quantile(np.concatenate(scores), np.linspace(0, 1, 2001))])
    sens, spec = rates(*scores, thresholds_M)
    sens, spec = sens * (1 - noise) + noise * (1 - spec), spec * (1 - noise) + noise * (1 - sens)
    accuracy_M = prevalence * sens + (1 - prevalence) * spec
    return float(accuracy_M[0]), float(accuracy_M.max())


def halves(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of negatives and positives of a population."""
    return logits[:POPULATION], logits[POPULATION:]


def own_val_accuracy(run: Trained, data: PreparedSet, prevalence: float) -> float:
    """Return the accuracy that validation cases like those of the study's own split have.

    Some have a twin in training: another image of a subject there, or a copy. The share that has is the split's; their
    accuracy is that of `known`, new images of training subjects or training images seen once; the rest is fresh.
    """
    train, val = data.rows("train"), data.rows("val")
    twin = {key: {getattr(data.cases[row], key) for row in train} for key in ("subject", "digest")}
    copies = "seen_once_0" in run.extra
    key = "digest" if copies else "subject"
    total = 0.0
    for label, share in ((0, 1 - prevalence), (1, prevalence)):
        mine = [row for row in val if data.cases[row].label == label]
        has_twin = float(np.mean([getattr(data.cases[row], key) in twin[key] for row in mine]))
        known = run.extra[f"{'seen_once' if copies else 'known'}_{label}"]
        fresh = halves(run.extra["faint"])[label]
        right = [float(((logits > 0) == (label == 1)).mean()) for logits in (known, fresh)]
        total += share * (has_twin * right[0] + (1 - has_twin) * right[1])
    return total


def known_images(family: str, data: PreparedSet, seed: int) -> dict[str, np.ndarray]:
    """Return images that a model of the study's own split half knows, by class."""
    train = data.rows("train")
    if family == "copies":
        digests = [data.cases[row].digest for row in train]
        once = [row for row, digest in zip(train, digests, strict=True) if digests.count(digest) == 1]
        return {
            f"seen_once_{label}": data.images[[r for r in once if data.cases[r].label == label]] for label in (0, 1)
        }
    development = [*train, *data.rows("val")]
    known = {data.cases[row].subject for row in train}
    found = {}
    for label in (0, 1):
        # another draw of validation images: subjects as often as they have images
        mine = [data.cases[row].subject for row in development if data.cases[row].label == label]
        mine = [int(subject[1:]) for subject in mine if subject in known]
        pairs = [(mine[i % len(mine)], 1000 + i // len(mine)) for i in range(POPULATION)]
        found[f"known_{label}"] = drawn(label, FAINT, 0.0, pairs, seed)
    return found


def truth(scenario: str, own: Sequence[Trained], twins: Sequence[Trained], data: PreparedSet) -> dict[str, float]:
    """Return the parts of the gap as they are in the populations, the mean over further seeds."""
    what, fresh = SCENARIOS[scenario], FAMILIES[SCENARIOS[scenario].family].usual
    prevalence_v, prevalence_t = (float(data.labels[data.rows(split)].mean()) for split in ("val", "test"))
    noise = what.knobs.get("test_label_noise", 0.0)
    found = []
    for i, run in enumerate(own):
        other = twins[i] if twins else run
        scores = halves(other.extra[fresh])
        at_v, _ = accuracies(scores, prevalence_v, 0.0)
        at_t, best_v = accuracies(scores, prevalence_t, 0.0)
        test, best_t = accuracies(halves(run.extra[POPULATION_OF[scenario]]), prevalence_t, noise)
        mine = own_val_accuracy(run, data, prevalence_v) if twins else at_v
        found.append(
            {
                "gap": mine - test,
                "leakage": mine - at_v,
                "prevalence": at_v - at_t,
                "threshold": (best_t - test) - (best_v - at_t),
                "ranking": best_v - best_t,
            }
        )
    return {name: float(np.mean([values[name] for values in found])) for name in found[0]}


def scores_of(data: PreparedSet, runs: Sequence[Trained], test: Sequence[np.ndarray]) -> list[RunScores]:
    """Return runs as the analysis sees them."""

    def cases(split: str) -> CaseSet:
        rows = data.rows(split)
        return CaseSet(
            names=tuple(data.cases[row].case for row in rows),
            labels_N=data.labels[rows],
            subjects_N=data.subjects[rows],
        )

    val_cases, test_cases = cases("val"), cases("test")
    return [
        RunScores(
            arm="arm", seed=seed, collapsed=False, metrics={}, test=(test_cases, logits), val=(val_cases, run.val)
        )
        for seed, (run, logits) in enumerate(zip(runs, test, strict=True))
    ]


def one_draw(job: tuple[int, Path]) -> dict[str, Any]:
    """Return the diagnosis of every scenario of a draw, with the truth beside it."""
    seed, folder = job
    torch.set_num_threads(1)
    crowd, seen, began = populations(folder), {}, time.perf_counter()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, family in FAMILIES.items():
            mine = {key: what for key, what in SCENARIOS.items() if what.family == name}
            sources = {key: Remembered(spec_of(seed, family, what.knobs), seen) for key, what in mine.items()}
            sets = {key: prepared(source, "case", Path(scratch, key)) for key, source in sources.items()}
            found |= _family(name, family, mine, sources, sets, crowd, seed, Path(scratch))
    return {"draw": seed, "seconds": time.perf_counter() - began, "scenarios": found}


def _family(
    name: str,
    family: Family,
    mine: dict[str, Scenario],
    sources: dict[str, Remembered],
    sets: dict[str, PreparedSet],
    crowd: dict[str, np.ndarray],
    seed: int,
    scratch: Path,
) -> dict[str, Any]:
    first = next(iter(mine))
    wanted = {family.usual, *(POPULATION_OF[key] for key in mine)}
    tests = {f"test of {key}": data.images[data.rows("test")] for key, data in sets.items()}
    people = {key: np.asarray(crowd[key]) for key in sorted(wanted)}
    known = known_images(name, sets[first], seed) if family.grouped else {}
    seeds = range(SEEDS + family.more_seeds)
    own = trained(family, sets[first], {**tests, **people, **known}, seeds)
    twins: list[Trained] = []
    if family.grouped:
        grouped = prepared(sources[first], "group", scratch / "grouped")
        twins = trained(family, grouped, {**tests, **people}, seeds)
    found = {}
    for key, data in sets.items():
        runs = scores_of(data, own[:SEEDS], [run.extra[f"test of {key}"] for run in own[:SEEDS]])
        beside = (
            {"arm": scores_of(grouped, twins[:SEEDS], [run.extra[f"test of {key}"] for run in twins[:SEEDS]])}
            if twins
            else {}
        )
        gap = gaps_of({"arm": runs}, beside, ()).arms[0].gap
        estimates: dict[str, Estimate] = {"gap": gap.gap, **gap.parts()}
        found[key] = {
            "kind": gap.verdict.kind,
            "parts": list(gap.verdict.parts),
            "suspects": list(audited(data).suspects),
            "estimates": {part: [e.value, e.lo, e.hi] for part, e in estimates.items()},
            "truth": truth(key, own[SEEDS:], twins[SEEDS:], data),
            "val": gap.val.value,
            "test": gap.test.value,
        }
    return found


def named(scenario: Scenario, found: dict[str, Any]) -> bool:
    """Tell whether a diagnosis names the cause: the part first, or both parts, and what the audit should find."""
    if scenario.kind:
        return found["kind"] == scenario.kind
    parts = tuple(found["parts"])
    right = parts[:1] == scenario.parts if len(scenario.parts) == 1 else set(scenario.parts) <= set(parts)
    return right and found["kind"] in ("mostly", "mixed") and scenario.suspect in ("", *found["suspects"])


def holds(found: dict[str, Any], part: str) -> bool:
    """Tell whether the interval of a part holds the truth, to rounding."""
    _, lo, hi = found["estimates"][part]
    return lo - 1e-9 <= found["truth"][part] <= hi + 1e-9


def table(draws: Sequence[dict[str, Any]]) -> str:
    """Return the results as a Markdown table."""
    n = len(draws)
    least = int(binom.ppf(0.025, n, 0.95))
    lines = [
        f"{n} draws. Within binomial tolerance of 95 %: {least} or more of {n}.",
        "",
        "| cause | val. | test | true gap | true parts | named | also named | " + " | ".join(["gap", *PARTS]) + " |",
        "|" + "---|" * (12),
    ]
    for name, scenario in SCENARIOS.items():
        mine = [draw["scenarios"][name] for draw in draws]
        true = {part: float(np.mean([found["truth"][part] for found in mine])) for part in ("gap", *PARTS)}
        parts = ", ".join(f"{part} {100 * true[part]:.1f}" for part in PARTS if abs(true[part]) >= 0.005) or "none"
        others = [set(found["parts"]) - set(scenario.parts) if found["kind"] != "reverse" else set() for found in mine]
        cells = [
            name,
            f"{100 * np.mean([found['val'] for found in mine]):.1f} %",
            f"{100 * np.mean([found['test'] for found in mine]):.1f} %",
            f"{100 * true['gap']:.1f}",
            parts,
            f"{sum(named(scenario, found) for found in mine)}",
            f"{sum(map(bool, others))}",
            *(
                f"{sum(holds(found, part) for found in mine)}" if part in mine[0]["estimates"] else "–"
                for part in ("gap", *PARTS)
            ),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", _suspects(draws)])


def _suspects(draws: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| cause | " + " | ".join(("wrong labels", "disputed labels", "duplicates", "shared subjects")) + " |",
        "|---|---|---|---|---|",
    ]
    for name in SCENARIOS:
        mine = [draw["scenarios"][name]["suspects"] for draw in draws]
        kinds = ("wrong labels", "disputed labels", "duplicates", "shared subjects")
        lines.append(f"| {name} | " + " | ".join(str(sum(kind in found for found in mine)) for kind in kinds) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run the draws that the file lacks, and print the table."""
    wanted, path = int(sys.argv[1]), Path(sys.argv[2])
    folder = path.parent / "populations"
    folder.mkdir(parents=True, exist_ok=True)
    populations(folder)
    done = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    missing = sorted(set(range(wanted)) - {draw["draw"] for draw in done})
    # spawned: torch's threads do not survive a fork
    with multiprocessing.get_context("spawn").Pool(min(2, os.cpu_count() or 1)) as pool, path.open("a") as file:
        for draw in pool.imap_unordered(one_draw, [(seed, folder) for seed in missing]):
            done.append(draw)
            file.write(json.dumps(draw) + "\n")
            file.flush()
            print(f"draw {draw['draw']}: {draw['seconds']:.0f} s, {len(done)} done", file=sys.stderr)
    print(table(sorted(done, key=lambda draw: draw["draw"])[:wanted]))


if __name__ == "__main__":
    main()
