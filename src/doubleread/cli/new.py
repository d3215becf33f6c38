"""`new`: a commented study file for the images at a path."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from doubleread import disk
from doubleread.cli.overrides import columns_of, tell_unused
from doubleread.cli.show import out, print_json
from doubleread.dataset import by_number, look_for_sizes, rules_that_fit
from doubleread.errors import UserError, printable
from doubleread.files import check_target, user_path, write_text
from doubleread.images import open_source
from doubleread.nouns import Source
from doubleread.study import load_study

POSITIVE_WORDS = ("pneumonia", "positive", "abnormal", "malignant", "disease", "sick", "case", "1")
LARGEST = 256

TEMPLATE = """\
# A study: what is compared, on which images, with how many seeds.
# doubleread check {file}    reads every image and prints the plan
# doubleread run {file}      trains what is missing
study: {name}
question: Does the loss or the batch size change what a small perceptron learns from these images?
data:
  source: {source}
{classes}
  image_size: {size}                 # pixels; every image is made square, with antialiasing
  intensity: unit                # raw 0–255 | unit 0–1 | standard (mean, SD of the training pixels) | image (its own)
{split}
{subject}
base:                            # the recipe that the arms share
  model: {{name: mlp, hidden: [64, 64]}}    # linear | mlp | cnn | resnet18 | vit | my_package.nets:Net | …
  loss: {loss}                      # bce (of two classes) | ce | focal
  optimizer: {{name: adam, lr: 1e-3}}    # adam | adamw | sgd
  schedule: {{name: cosine}}       # constant | step | cosine | exponential | onecycle | plateau
  batch_size: 32
  epochs: 30
seeds: 10                        # seeds 0 to 9, the same for every arm
margin: {{accuracy: 0.02}}         # the smallest difference that matters: 2 points
# prior: {{accuracy: {{seed_sd: 0.03}}}}    # what you expect seeds to scatter: check then prints what you can detect
experiments:                     # each varies its own factors; several factors give the full grid
  loss:
    factors:
      loss: [{loss}, {other}]
    claims:                      # what you expect, written down before the runs; the store keeps it
      - {{id: {loss}-beats-{other}, metric: accuracy, better: {loss}, than: {other}}}
  batch:
    factors:
      batch_size: [8, 32, 128]
    claims:                      # also: same: [A, B] | best: A | arm: A, above: 0.8; role: secondary
      - {{id: accuracy-rises-with-the-batch, metric: accuracy, trend: increasing}}
      - {{id: auroc-of-32-and-128-is-the-same, metric: {ranking}, same: [32, 128], role: secondary}}
"""


def new_command(path: str, out_file: Path, columns: list[str], as_json: bool) -> None:
    """Write the file, and check that it can be read back."""
    out_file = user_path(out_file, "--out")
    if out_file.exists():
        raise UserError(f"--out {out_file}", "it exists", "expected a new file", "give another name")
    check_target(out_file, "--out")
    named = columns_of(columns)
    source = open_source(path, columns=named, place=path)
    tell_unused(source)
    write_text(out_file, study_text(source, path, out_file.name, named))
    try:
        study = load_study(out_file)
    except UserError:
        disk.DISK.remove(out_file)
        raise
    if as_json:
        print_json({"file": str(out_file), "study": study.name})
    else:
        out().print(f"wrote {out_file}\nnext: doubleread check {shlex.quote(str(out_file))}", soft_wrap=True)


def study_text(source: Source, path: str, file: str, columns: Mapping[str, str]) -> str:
    """Return the study file for a source, whose `columns` are called as that says.

    Raises:
        UserError: the source has one class only.
    """
    names = sorted({item.class_name for item in source.items}, key=by_number)
    if len(names) < 2:
        raise UserError(path, f"one class only, {names[0]}", "expected two classes or more")
    loss, other, ranking = ("bce", "ce", "auroc") if len(names) == 2 else ("ce", "focal", "macro_auroc")
    located = path if path == "phantom" else str(Path(path).expanduser().resolve())
    return TEMPLATE.format(
        file=printable(file),
        name=_name(path),
        source=json.dumps(located, ensure_ascii=False) if located != "phantom" else located,
        classes=_columns(columns) + _classes(names),
        loss=loss,
        other=other,
        ranking=ranking,
        size=min(LARGEST, max(4, look_for_sizes(source))),
        split=_split(source),
        subject=_subject(source),
    )


def _columns(columns: Mapping[str, str]) -> str:
    if not columns:
        return ""
    listed = ", ".join(f"{what}: {json.dumps(name, ensure_ascii=False)}" for what, name in columns.items())
    return f"  columns: {{{listed}}}    # what the table calls them\n"


def _classes(names: list[str]) -> str:
    if len(names) > 2:
        return f"  # its {len(names)} classes: {', '.join(names[:8])}{' …' if len(names) > 8 else ''}"
    positive = next((n for word in POSITIVE_WORDS for n in names if n.lower() == word), names[1])
    negative = next(n for n in names if n != positive)
    shown = json.dumps(positive, ensure_ascii=False)
    return f"  positive: {shown}                # the class that counts as 1; the other is {negative}"


def _name(path: str) -> str:
    """Return a name for the study from the last part of the path."""
    slug = re.sub(r"[^a-z0-9]+", "-", Path(path).stem.lower()).strip("-")[:50]
    return f"{slug}-study" if slug else "my-study"


def _split(source: Source) -> str:
    parts = {item.part for item in source.items}
    by = "subject" if _subject_rule(source) else "case"
    if parts == {"train", "val", "test"}:
        return "  split: given                   # the source's own; or {val: 0.2, by: case, seed: 0}"
    own = "" if "test" in parts else "test: 0.2, "
    return f"  split: {{val: 0.2, {own}by: {by}, seed: 0}}    # by: subject keeps all images of a subject together"


def _subject(source: Source) -> str:
    rule = _subject_rule(source)
    if rule:
        return f"  subject: {rule}               # the rule that finds the subject of an image"
    return "  subject: case                  # every image its own subject; or a regular expression on the file name"


def _subject_rule(source: Source) -> str | None:
    return next((rule for rule in rules_that_fit(source.items) if rule != "case"), None)
