"""From a source to a prepared set: check every image, select, resize, write once, find again by content."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from doubleread import disk
from doubleread.dataset.leaks import leaks_of, refuse_leaks
from doubleread.dataset.prepared import IMAGES, META, Case, PreparedSet, damage_of, open_prepared, write_cases
from doubleread.dataset.reading import Look, Progress, Seen, Target, digest_all, look_at, no_progress
from doubleread.dataset.select import Selection, by_group, select
from doubleread.errors import UnreadableImage, UserError
from doubleread.files import hash_of, make_folders, move_folder, read_text, remove_leftovers, write_json
from doubleread.images import GREY, is_deep
from doubleread.nouns import Source
from doubleread.recipe.data import DataSpec, DrawnSplit

PREPARATION = 1
"""Raised when the same images would be prepared otherwise than before."""

READERS = 2
"""Raised when an image that was refused before can be read: what was seen of it is looked at anew."""
SHOWN = 20
DRAFT = ".draft-"
NAMED = " (doubleread data describe PATH names the files)"
"""Said of images whose cases are not called after their files."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What reading one image showed: its size, mean grey value and mode, or why it cannot be used."""

    height: int
    width: int
    mean: float
    reason: str | None
    mode: str = ""


def prepare(
    source: Source, data: DataSpec, cache: Path, progress: Progress = no_progress, *, refuse: bool = True
) -> PreparedSet:
    """Return the prepared set for `data`, from `cache` if it is there.

    Every image of the source is read and checked the first time its content is seen. A second call on the same
    content only hashes the files. A known leak that the study does not allow is refused, or with `refuse` false left to
    the caller; see `refuse_leaks`.

    Raises:
        UserError: images cannot be used and `skip_unreadable` is not set; classes, parts or counts do not fit; a
            known leak is not allowed.
    """
    prepared = _prepare(source, data, cache, progress)
    if refuse:
        refuse_leaks(prepared.meta)
    return prepared


def _prepare(source: Source, data: DataSpec, cache: Path, progress: Progress) -> PreparedSet:
    if not any((cache / "checked").glob("*.json")) and not by_group(data):
        # nothing has been seen here: the images are hashed as they are read, and not before that too
        return _first_time(_Job(source, data, cache, (), progress))
    job = _Job(source, data, cache, digest_all(source, progress), progress)
    checked = _load_checked(job.record)
    if checked is None:
        return _first_time(job)
    return _found_or_written(job, select(source.items, data, _usable(source, data, checked), job.digests), checked)


@dataclass(frozen=True, slots=True)
class _Job:
    """What is being prepared, from where, for what, into which folder."""

    source: Source
    data: DataSpec
    cache: Path
    digests: Sequence[str | UnreadableImage]
    progress: Progress

    @property
    def record(self) -> Path:
        """Where what checking this content showed is kept."""
        return self.cache / "checked" / f"{_source_hash(self.source, self.digests)}.json"

    def read(self, indices: Sequence[int], rows: Mapping[int, int], draft: _Draft) -> dict[int, Seen]:
        """Look at the items at `indices`; those in `rows` go, resized, into that row of the draft."""
        return look_at(self.source, indices, Target(draft.path, rows), self.progress)


def check_source(source: Source, progress: Progress = no_progress) -> list[Checked]:
    """Read every image of a source and return what each showed, in the source's order."""
    seen = look_at(source, range(len(source.items)), None, progress)
    return [_checked(seen[index]) for index in range(len(source.items))]


def look_for_sizes(source: Source) -> int:
    """Return the median of the longer side of up to 20 images that can be read, evenly spaced over the source.

    Raises:
        UserError: none of them can be read.
    """
    chosen = np.linspace(0, len(source.items) - 1, min(20, len(source.items))).round().astype(int).tolist()
    looks = [seen.look for seen in look_at(source, chosen).values()]
    sides = [max(look.height, look.width) for look in looks if isinstance(look, Look)]
    if not sides:
        raise UserError(
            source.location, "none of its images can be read", next_step="doubleread data describe tells why"
        )
    return int(np.median(sides))


def _first_time(job: _Job) -> PreparedSet:
    """Check everything, and resize what will be used in the same reading."""
    items, n = job.source.items, len(job.source.items)
    # files whose very bytes cannot be had are known by their digests; the rest is taken to be good until it is read
    hopeful = all(isinstance(digest, str) for digest in job.digests)
    selection = select(items, job.data, range(n), job.digests) if hopeful else None
    rows = _rows_of(selection) if selection is not None else {}
    deep = _looks_deep(job.source)
    with _Draft(job.cache, len(rows), job.data, deep=deep) as draft:
        seen = job.read(range(n), rows, draft)
        job = replace(job, digests=[seen[index].digest for index in range(n)])
        checked = {item.case: _checked(seen[i]) for i, item in enumerate(items)}
        write_json(job.record, {case: [c.height, c.width, c.mean, c.reason, c.mode] for case, c in checked.items()})
        usable = _usable(job.source, job.data, checked)
        if selection is not None and len(usable) == n:
            cases = _cases(job, selection, checked)
            if deep == _is_deep(cases):
                return _finish(job, draft, selection, checked, cases)
    return _found_or_written(job, select(items, job.data, usable, job.digests), checked)


def _found_or_written(job: _Job, selection: Selection, checked: Mapping[str, Checked]) -> PreparedSet:
    cases = _cases(job, selection, checked)
    _refuse_no_colour(job.data, cases)
    folder = job.cache / _data_hash(cases, job.data)
    if damage_of(folder):
        # a run on other pixels than its identity says would be worse than the time to make them again
        shutil.rmtree(folder)
    if (folder / META).is_file():
        meta = _meta(job, selection, checked, cases)
        return replace(open_prepared(folder), meta=meta)
    with _Draft(job.cache, len(cases), job.data, deep=_is_deep(cases)) as draft:
        job.read(selection.indices.tolist(), _rows_of(selection), draft)
        return _finish(job, draft, selection, checked, cases)


def _looks_deep(source: Source) -> bool:
    """Tell whether the first image has more than 8 bits, and with it most likely all."""
    try:
        return is_deep(source.mode(0))
    except UnreadableImage:
        return False


def _is_deep(cases: Sequence[Case]) -> bool:
    """Tell whether a set is kept in 16 bits: where one of its images has more than 8."""
    return any(is_deep(case.mode) for case in cases)


def _refuse_no_colour(data: DataSpec, cases: Sequence[Case]) -> None:
    if data.channels == "rgb" and all(case.mode in GREY for case in cases):
        raise UserError("data.channels", "rgb has no effect: no image is stored in colour", "", "delete it")


def _rows_of(selection: Selection) -> dict[int, int]:
    return {int(index): row for row, index in enumerate(selection.indices)}


def _finish(
    job: _Job, draft: _Draft, selection: Selection, checked: Mapping[str, Checked], cases: Sequence[Case]
) -> PreparedSet:
    _refuse_no_colour(job.data, cases)
    meta = _meta(job, selection, checked, cases)
    return draft.keep(job.cache / _data_hash(cases, job.data), cases, meta)


def _meta(job: _Job, selection: Selection, checked: Mapping[str, Checked], cases: Sequence[Case]) -> dict[str, Any]:
    """Return what is to be said about the data, this time: the same set can be asked for in several ways."""
    data = job.data
    found = leaks_of(cases, data.split)
    return {
        "source": job.source.location,
        "kind": job.source.kind,
        "classes": list(selection.classes),
        "image_size": data.image_size,
        "subject_rule": selection.rule,
        "subject_rules_rejected": list(selection.rejected),
        "settings": data.preparation(),
        "split_per_seed": data.model_dump(mode="json")["split"] if _per_seed(data) else None,
        "listed": len(job.source.items),
        "unreadable": [[case, c.reason] for case, c in checked.items() if c.reason is not None],
        "audit": found.as_dict(),
    }


def _per_seed(data: DataSpec) -> bool:
    return isinstance(data.split, DrawnSplit) and data.split.resample == "per_seed"


class _Draft:
    """A prepared set being written, in a folder of its own that vanishes unless it is kept."""

    def __init__(self, cache: Path, n: int, data: DataSpec, *, deep: bool) -> None:
        self._folder = cache / f"{DRAFT}{secrets.token_hex(4)}"
        self._shape = (n, data.image_size, data.image_size, *((3,) if data.channels == "rgb" else ()))
        self._dtype = np.dtype(np.uint16 if deep else np.uint8)
        self._lock: int | None = None

    def __enter__(self) -> _Draft:
        make_folders(self._folder)
        self._lock = disk.lock(self._folder)
        shape = (max(self._shape[0], 1), *self._shape[1:])
        # of full size from the start: readers map it too, each writing its own rows
        np.lib.format.open_memmap(self.path, mode="w+", dtype=self._dtype, shape=shape)
        try:
            with self.path.open("rb+") as handle:
                disk.reserve(handle, self.path.stat().st_size)
        except BaseException:
            self.__exit__()
            raise
        return self

    @property
    def path(self) -> Path:
        """The file of the array, for those who fill it."""
        return self._folder / IMAGES

    def keep(self, folder: Path, cases: Sequence[Case], meta: dict[str, Any]) -> PreparedSet:
        with self.path.open("rb+") as handle:
            # what others have written through their mappings is in the system's cache, and with it on the disk
            disk.DISK.fsync(handle)
        write_cases(self._folder, cases, meta)
        try:
            move_folder(self._folder, folder)
        except OSError:
            # another process has prepared the same set in the meantime
            if not (folder / META).is_file():
                raise
        return open_prepared(folder)

    def __exit__(self, *_error: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def remove_drafts(cache: Path) -> None:
    """Remove what was left in `cache` by preparations that were cut off; one that is under way keeps its own."""
    for folder in [*cache.glob(f"{DRAFT}*")]:
        if (held := disk.lock(folder)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)
    for folder in (cache / "checked", *(path.parent for path in cache.glob(f"*/{META}"))):
        remove_leftovers(folder)


def _cases(job: _Job, selection: Selection, checked: Mapping[str, Checked]) -> list[Case]:
    cases = []
    for row, index in enumerate(selection.indices):
        item, digest = job.source.items[index], job.digests[index]
        assert isinstance(digest, str), "only items with a digest are selected"
        seen = checked[item.case]
        cases.append(
            Case(
                case=item.case,
                subject=selection.subjects[row],
                class_name=item.class_name,
                label=int(selection.labels[row]),
                split=selection.splits[row],
                digest=digest,
                height=seen.height,
                width=seen.width,
                mode=seen.mode,
            )
        )
    return cases


def _data_hash(cases: Sequence[Case], data: DataSpec) -> str:
    """Return the identity of a prepared set: what is in it, not how it was asked for or where it came from."""
    content = {
        "preparation": PREPARATION,
        "image_size": data.image_size,
        "cases": [[c.case, c.subject, c.label, c.split, c.digest] for c in cases],
    }
    if data.channels != "grey":
        content["channels"] = data.channels
    if _per_seed(data):
        content["split_per_seed"] = data.preparation()["split"]
    return hash_of(content)[:20]


def _source_hash(source: Source, digests: Sequence[str | UnreadableImage]) -> str:
    listing = [
        [item.case, item.class_name, item.part, item.subject, digest if isinstance(digest, str) else str(digest)]
        for item, digest in zip(source.items, digests, strict=True)
    ]
    return hash_of([PREPARATION, READERS, source.kind, listing])[:20]


def _checked(seen: Seen) -> Checked:
    look, digest = seen.look, seen.digest
    if isinstance(look, Look) and isinstance(digest, str):
        return Checked(look.height, look.width, look.mean, None, look.mode)
    return Checked(0, 0, 0.0, str(look if isinstance(look, UnreadableImage) else digest))


def _load_checked(record: Path) -> dict[str, Checked] | None:
    if not record.is_file():
        return None
    return {case: Checked(*seen) for case, seen in json.loads(read_text(record, limit=2**30)).items()}


def _usable(source: Source, data: DataSpec, checked: Mapping[str, Checked]) -> list[int]:
    """Return the items that can be used; stop on the others unless the study skips them."""
    bad = [(item.case, checked[item.case].reason) for item in source.items if checked[item.case].reason is not None]
    if bad and not data.skip_unreadable:
        listed = "\n".join(f"  {case}: {reason}" for case, reason in bad[:SHOWN])
        more = f"\n  and {len(bad) - SHOWN:,} more" if len(bad) > SHOWN else ""
        raise UserError(
            "data.source",
            f"{len(bad):,} of {len(source.items):,} images cannot be used:\n{listed}{more}\n",
            next_step=f"mend or remove them{NAMED if source.kind == 'dicom' else ''}; or"
            " --set data.skip_unreadable=true",
        )
    return [index for index, item in enumerate(source.items) if checked[item.case].reason is None]
