"""The methods as paragraphs that can stand in a paper, and how to cite the program."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

from doubleread.analysis import StudyResult
from doubleread.dataset import PreparedSet
from doubleread.metrics import direction
from doubleread.nouns import SPLITS
from doubleread.recipe.data import DrawnSplit
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
        " ".join(data_text(data, result) for data in result.data),
        training_text(result),
        *([statistics_text(result)] if result.study.claims else []),
        software_text(result),
    ]


def data_text(data: PreparedSet, result: StudyResult) -> str:
    """Return which images were used, how they were prepared and split."""
    meta, spec = data.meta, result.study.data
    where = "synthetic images of a digital phantom" if meta["kind"] == "phantom" else "images"
    counts = ", ".join(f"{n:,} for {what}" for what, n in _sizes(data).items() if n)
    left_out = f"; {len(meta['unreadable']):,} that could not be read were left out" if meta["unreadable"] else ""
    colour = "grey" if data.images.ndim == 3 else "colour"
    return (
        f"We used {len(data.cases):,} {where} of {len(set(data.subjects)):,} subjects ({counts}){left_out}. They were"
        f" resized to {meta['image_size']} × {meta['image_size']} pixels in {colour} with antialiasing, and"
        f" {_INTENSITY[spec.intensity]}. {split_text(spec.split)} The test images were used for no training and no"
        " choice (internal test); no external test was made."
    )


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
    seeds = f"seeds {words.seeds_of(study)}" if study.looks else f"{len(study.seeds)} seeds"
    counts = result.counts()
    lost = ", ".join(f"{counts[state]} {state}" for state in ("diverged", "failed", "interrupted") if counts[state])
    return (
        f"{len(study.arms)} training recipes were compared: {'; '.join(parts)}. Each was trained with {seeds}; for each"
        " seed, all recipes saw the same split and the same order of the images, and started from the same weights"
        f" wherever shapes are equal. In all {counts['done']} runs finished{f' ({lost})' if lost else ''}."
        f" The first recipe was: {words.recipe_text(study.arms[0])}."
    )


def statistics_text(result: StudyResult) -> str:
    """Return how the claims were judged."""
    claims = result.study.claims
    roles = [(role, sum(claim.role == role for claim in claims)) for role in ("primary", "secondary")]
    counted = " and ".join(f"{n} {role}" for role, n in roles if n)
    kept = result.registration
    before = kept is not None and not kept.edited and not kept.done_before
    looks = (
        " Seeds were added until the claims were decided, in at most five looks fixed beforehand, with p-values and"
        " intervals corrected for looking (Pocock 1977)."
        if result.study.looks
        else ""
    )
    return (
        f"{counted} claim{'s' if len(claims) > 1 else ''}, with margins of {margins_text(claims)}"
        f"{', fixed before the first run' if before else ''}, {'were' if len(claims) > 1 else 'was'} judged by the"
        " Obuchowski–Rockette method with Hillis' degrees of freedom, the seeds as readers and the test images as"
        " cases: a 95 % interval counts the chance of both. Covariances over test subjects came from sums over their"
        " images for proportions and from DeLong's components for AUROC; images of a subject were kept together."
        " p-values were corrected by Holm's method over the claims of each kind; equivalence was tested by two"
        f" one-sided tests against the margin.{looks} Collapsed runs stayed in the estimates."
    )


def margins_text(claims: Sequence[Claim]) -> str:
    """Return the margin of every claimed metric."""
    margins = {claim.metric: claim.margin for claim in claims}
    return ", ".join(
        f"{amount(metric, margin)} {'of' if direction(metric) else 'in'} {words.LABELS[metric]}"
        for metric, margin in margins.items()
    )


def software_text(result: StudyResult) -> str:
    """Return with what it was trained and judged."""
    used = result.environments[0] if result.environments else None
    trained = ""
    if used is not None:
        trained = (
            f" with PyTorch {used['packages']['torch']} on {used['processor']}, {used['threads_per_run']} thread"
            f"{'s' if used['threads_per_run'] != 1 else ''} a run"
        )
    return f"Training and analysis were done by doubleread {version()} (The doubleread developers, {YEAR}){trained}."


def _sizes(data: PreparedSet) -> dict[str, int]:
    return {what: len(data.rows(split)) for what, split in zip(("training", "validation", "test"), SPLITS, strict=True)}
