"""`explain`: which pixels moved a saved model."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from doubleread.cli.show import err, out, print_json
from doubleread.errors import UnreadableImage, UserError, did_you_mean, printable
from doubleread.files import check_folder, user_path, write_bytes
from doubleread.images.image_file import read_image_file
from doubleread.model_file import Predictor, check_method, image_files, load_model, saliency_of, unreadable
from doubleread.nouns import INTENDED_USE
from doubleread.report import NO_EVIDENCE, saliency_figure
from doubleread.report.figures import rendered
from doubleread.runner import Progress


def explain_command(
    model: Path, given: list[str], folder: Path, method: str, towards: str | None, own_code: bool, as_json: bool
) -> None:
    """Write a picture for each image; name those that cannot be read, and leave with 1 where there is one."""
    folder = user_path(folder, "--out")
    check_folder(folder, "--out")
    predictor = load_model(model, own_code=own_code)
    check_method(predictor, method)
    if towards is not None and towards not in predictor.classes:
        raise UserError("--class", f'got "{towards}"', did_you_mean(towards, predictor.classes))
    found = image_files(given)
    if found.remark:
        err().print(found.remark, soft_wrap=True)
    done: list[dict[str, Any]] = []
    bad: list[str] = []
    with Progress(err(), "explain") as show:
        for place, path in enumerate(found.files):
            try:
                pixels = predictor.prepared(read_image_file(path))
            except UnreadableImage as error:
                bad.append(f"{path}: {error}")
                continue
            done.append(_explained(predictor, path, pixels, folder / _name(place, path), method, towards))
            show.reading("explaining images", place + 1, len(found.files))
    if as_json:
        print_json(done)
    else:
        for one in done:
            out().print(f"{one['picture']}: towards {one['towards']}; {one['check']}", soft_wrap=True)
        out().print(f"{NO_EVIDENCE}\n{INTENDED_USE}")
    if bad:
        raise unreadable(bad, len(found.files))


def _explained(
    predictor: Predictor, path: Path, pixels: Any, target: Path, method: str, towards: str | None
) -> dict[str, Any]:
    called = int(predictor.predictions(pixels[None]).called_N[0])
    chosen = predictor.classes.index(towards) if towards is not None else called
    maps = saliency_of(predictor, pixels, chosen, method)
    figure = saliency_figure(pixels, maps, f"towards {predictor.classes[chosen]}", NO_EVIDENCE)
    write_bytes(target, rendered(figure, "png"))
    known = not math.isnan(maps.agreement)
    return {
        "image": printable(str(path)),
        "picture": str(target),
        "called": predictor.classes[called],
        "towards": predictor.classes[chosen],
        "method": maps.method,
        "agreement_with_untrained": maps.agreement if known else None,
        "check": f"rank correlation with untrained weights {maps.agreement:.2f}"
        if known
        else "a map has one value only",
    }


def _name(place: int, path: Path) -> str:
    return f"{place:04d}-{re.sub(r'[^A-Za-z0-9._-]+', '-', path.stem)[:80]}.png"
