"""The methods as paragraphs that can stand in a paper, and how to cite the program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from doubleread.analysis import StudyResult
from doubleread.dataset import PreparedSet
from doubleread.files import hash_of
from doubleread.metrics import SCORES, direction, needs_test
from doubleread.nouns import SPLITS
from doubleread.recipe.data import DataSpec, DrawnSplit
from doubleread.report import words
from doubleread.report.sentences import amount
from doubleread.study import Claim

TITLE = "doubleread: controlled comparison of image classifiers"
YEAR = 2026
_INTENSITY = {
    "raw": "pixels entered the model as 0 to 255",
    "unit": "pixels were scaled to 0 to 1",
    "standard": "pixels were standardised by the mean and standard deviation of the training images",
    "image": "each image was standardised by its own mean and standard deviation",
}
_LEVEL = {"case": "by image", "subject": "by subject", "group": "by subject, copies kept together"}


def version() -> str:
    """Return the version of the program."""
    return metadata.version("doubleread")


def citation() -> str:
    """Return how to cite the program in a list of references."""
    return f"The doubleread developers. {TITLE}. Version {version()}. {YEAR}."


def bibtex() -> str:
    """Return the same for BibTeX."""
    return (
        f"@software{{doubleread,\n  author = {{{{The doubleread developers}}}},\n  title = {{{TITLE}}},\n"
        f"  version = {{{version()}}},\n  year = {{{YEAR}}}\n}}"
    )


def methods(result: StudyResult) -> list[str]:
    """Return the methods of a study, a paragraph each: data, training, statistics, software."""
    return [
        " ".join([*(data_text(data, result) for data in result.data), test_text(result)]),
        training_text(result),
        *([statistics_text(result)] if result.claims else []),
        software_text(result),
    ]


def data_text(data: PreparedSet, result: StudyResult) -> str:
    """Return which images were used, how they were prepared and split."""
    meta = data.meta
    where = "synthetic images of a digital phantom" if meta["kind"] == "phantom" else "images"
    counts = ", ".join(f"{n:,} for {what}" for what, n in _sizes(data).items() if n)
    # where every image is its own subject, nobody has looked for subjects
    of = "" if meta["subject_rule"] == "case" else f" of {len(set(data.subjects)):,} subjects"
    left_out = f"; {len(meta['unreadable']):,} that could not be read were left out" if meta["unreadable"] else ""
    colour = "grey" if data.images.ndim == 3 else "colour"
    specs = _specs_of(data, result)
    scaled = ", or ".join(dict.fromkeys(_INTENSITY[spec.intensity] for spec in specs))
    split = " ".join(dict.fromkeys(split_text(spec.split) for spec in specs))
    return (
        f"We used {len(data.cases):,} {where}{of} ({counts}){left_out}. They were resized to"
        f" {meta['image_size']} × {meta['image_size']} pixels in {colour} with antialiasing, and {scaled}. {split}"
    )


def _specs_of(data: PreparedSet, result: StudyResult) -> list[DataSpec]:
    """Return what the arms asked of a prepared set."""
    found = [arm.arm.data for arm in result.arms if any(run.data.data_hash == data.data_hash for run in arm.runs)]
    return found or [result.study.data]


def test_text(result: StudyResult) -> str:
    """Return what the test images are worth: whether copies of them were trained on, and others from elsewhere."""
    leaks = any(
        data.meta["audit"]["duplicates_across"] or data.meta["audit"]["shared_subjects"] for data in result.data
    )
    but = ", but for copies or shared subjects that stand in two splits" if leaks else ""
    elsewhere = result.study.reporting.external_test
    other = f"External test: {elsewhere.rstrip('.')}." if elsewhere else "No external test is reported."
    return f"The test images were used for no training and no choice (internal test){but}. {other}"


def split_text(split: DrawnSplit | str) -> str:
    """Return how development and test images were parted, in a sentence."""
    if not isinstance(split, DrawnSplit):
        return "Training, validation and test images are the source's own."
    again = " again for each seed" if split.resample == "per_seed" else ""
    own = f" and {100 * split.test:.0f} % for the test" if split.test else ""
    return (
        f"Of the development images, {100 * split.val:.0f} % were drawn{again} for validation{own}, {_LEVEL[split.by]}."
    )


def training_text(result: StudyResult) -> str:
    """Return what was compared, how often, and what every comparison holds fixed."""
    study = result.study
    parts = [
        f"{e.title.rstrip('.')} ({', '.join(e.factors)}: {', '.join(arm.label for arm in e.arms)})"
        for e in study.experiments
    ]
    different = len({(hash_of(arm.recipe.canonical()), str(arm.data)) for arm in study.arms})
    recipes = "One training recipe was trained" if different == 1 else f"{different} training recipes were compared"
    seeds = f"seeds {words.seeds_of(study)}" if study.looks else f"{len(study.seeds)} seeds"
    counts = result.counts()
    lost = ", ".join(f"{counts[state]} {state}" for state in ("diverged", "failed", "interrupted") if counts[state])
    return (
        f"{recipes}: {'; '.join(parts)}. Each was trained with {seeds}; for each"
        " seed, all recipes saw the same split and the same order of the images, and started from the same weights"
        f" wherever shapes are equal. In all, {counts['done']} runs finished{f' ({lost})' if lost else ''}."
        f" The first recipe was: {words.recipe_text(study.arms[0])}."
    )


def statistics_text(result: StudyResult) -> str:
    """Return how the claims were judged; of a sealed study, those that need no test images."""
    claims = [found.claim for found in result.claims]
    roles = [(role, sum(claim.role == role for claim in claims)) for role in ("primary", "secondary")]
    counted = " and ".join(f"{n} {role}" for role, n in roles if n)
    kept = result.registration
    before = ", fixed before the first run" if kept is not None and not kept.edited and not kept.done_before else ""
    many = len(claims) > 1
    looks = (
        " Seeds were added until the claims were decided, in at most five looks fixed beforehand, with p-values and"
        " intervals corrected for looking (Pocock 1977)."
        if result.study.looks
        else ""
    )
    return (
        f"{counted} claim{'s' if many else ''}, with margins of {margins_text(claims)}{before},"
        f" {'were' if many else 'was'} judged. {intervals_text(claims)} p-values were corrected by Holm's method over"
        " the claims of each kind; equivalence was tested by two one-sided tests against the margin."
        f"{looks} Collapsed runs stayed in the estimates."
    )


def intervals_text(claims: Sequence[Claim]) -> str:
    """Return what an interval counts, for each sort of metric that is claimed."""
    test = any(needs_test(claim.metric) for claim in claims)
    validation = any(_on_validation(claim.metric) for claim in claims)
    runs = any(not needs_test(claim.metric) and not _on_validation(claim.metric) for claim in claims)
    said = []
    if test or validation:
        images = " and ".join(name for name, there in (("test", test), ("validation", validation)) if there)
        said.append(
            f"Scores on {images} images were compared by the Obuchowski–Rockette method with Hillis' degrees of"
            " freedom, the seeds as readers and the images as cases: a 95 % interval counts the chance of both."
            " Covariances over subjects came from sums over their images for proportions and from DeLong's components"
            " for AUROC; images of a subject were kept together."
        )
    if runs:
        said.append("Losses, curves and times were compared by a paired t interval over the seeds.")
    return " ".join(said)


def margins_text(claims: Sequence[Claim]) -> str:
    """Return the margins of every claimed metric."""
    margins: dict[str, set[float]] = {}
    for claim in claims:
        margins.setdefault(claim.metric, set()).add(claim.margin)
    return ", ".join(
        f"{' or '.join(amount(metric, margin) for margin in sorted(found))}"
        f" {'of' if direction(metric) else 'in'} {words.LABELS[metric]}"
        for metric, found in margins.items()
    )


def software_text(result: StudyResult) -> str:
    """Return with what it was trained and judged."""
    trained = "; ".join(dict.fromkeys(_trained_with(used) for used in result.environments))
    said = f"Runs were trained with {trained}. " if trained else ""
    return f"{said}The analysis was done by doubleread {version()} (The doubleread developers, {YEAR})."


def _trained_with(used: Mapping[str, Any]) -> str:
    packages, threads = used["packages"], used["threads_per_run"]
    where = used.get("cuda_device") or f"{used['processor']}, {threads} thread{'s' if threads != 1 else ''} a run"
    return f"doubleread {packages['doubleread']} and PyTorch {packages['torch']} on {where}"


def _sizes(data: PreparedSet) -> dict[str, int]:
    return {what: len(data.rows(split)) for what, split in zip(("training", "validation", "test"), SPLITS, strict=True)}


def _on_validation(metric: str) -> bool:
    return metric.removeprefix("val_") in SCORES and metric.startswith("val_")
