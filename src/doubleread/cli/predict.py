"""`predict`: images read by a saved model."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from doubleread.cli.show import err
from doubleread.errors import UserError
from doubleread.files import check_target, user_path, write_text
from doubleread.model_file import Answer, columns_of, image_files, load_model, read_images, unreadable
from doubleread.nouns import INTENDED_USE
from doubleread.report.tables import neutral
from doubleread.runner import Progress


def predict_command(
    model: Path, given: list[str], target: Path | None, threads: int | None, own_code: bool, as_json: bool
) -> None:
    """Print a line for each image, CSV or JSON; name those that cannot be read, and leave with 1 where there is one."""
    if target is not None:
        target = user_path(target, "--out")
        check_target(target, "--out")
    predictor = load_model(model, own_code=own_code)
    found = image_files(given)
    if target is not None:
        _check_own(target, [model, *found.files])
    if found.remark:
        err().print(found.remark, soft_wrap=True)
    columns = ["image", *columns_of(predictor), "error"]
    kept: list[str] = []
    bad: list[Answer] = []
    show_line = kept.append if target is not None else print
    if not as_json:
        show_line(_csv(columns))
    with Progress(err(), "predict") as show:
        answers = read_images(
            predictor,
            found.files,
            threads=threads,
            progress=lambda done, total: show.reading("reading images", done, total),
        )
        for answer in answers:
            row = {"image": answer.image, **answer.facts, "error": answer.error}
            show_line(json.dumps(row, allow_nan=False, ensure_ascii=False) if as_json else _csv(row.values()))
            if answer.error is not None:
                bad.append(answer)
    if target is not None:
        write_text(target, "\n".join(kept) + "\n")
    err().print(INTENDED_USE)
    if bad:
        raise unreadable([f"{one.image}: {one.error}" for one in bad], len(found.files))


def _check_own(target: Path, read: Iterable[Path]) -> None:
    """Check that what is written replaces nothing that is read; an older table it may."""
    if target.exists() and any(path.exists() and target.samefile(path) for path in read):
        raise UserError("--out", f"{target} is read here", "expected another file", "give another path")


def _csv(cells: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([neutral(value) for value in cells])
    return line.getvalue()
