"""The Python interface: load a study, run it, look at what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from doubleread import disk, runner
from doubleread.analysis import StudyResult, analyse, arms_that_go_on, best_runs
from doubleread.dataset import remove_drafts
from doubleread.errors import UserError, WorkFailed, did_you_mean
from doubleread.files import check_target, user_path
from doubleread.images import ARRAYS, ArraySource
from doubleread.metrics import metric_names, needs_test
from doubleread.nouns import Source
from doubleread.report import (
    arms_figure,
    arms_table,
    claims_table,
    curves_figure,
    curves_table,
    ensembles_table,
    findings_table,
    forest_figure,
    gap_frame,
    logits_table,
    notebook_html,
    runs_table,
    save_figures,
    thresholds_frame,
    waterfall_figure,
    write_markdown,
    write_page,
    write_tables,
)
from doubleread.report.judgement import Judgement, judge
from doubleread.report.sentences import look_text
from doubleread.runner import Care, Counts, How, Progress, Show, Silent
from doubleread.store import Store, open_store, recover, weights_path
from doubleread.study import BUILT_IN, Plan, Study, document_of, limited, load_study, study_of, variants_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = [
    "Judgement",
    "Results",
    "find_study",
    "judge",
    "load_study",
    "open_results",
    "prune",
    "run",
    "train",
]


def _to_keep(store: Store, study_name: str, runs: set[str], spare_all: bool) -> set[str]:
    document = store.study_document(study_name)
    assert document is not None, "a listed study has a document"
    try:
        study = study_of(document)
        return runs if spare_all and study.keep_weights == "all" else best_runs(analyse(study, store))
    except UserError:
        # kept by an older or newer program: what cannot be judged is not removed
        return runs


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruned:
    """How many runs lost their stored weights, and how many bytes that freed."""

    runs: int
    freed: int


class Results:
    """What a store has of a study: tables as pandas DataFrames, figures, the report.

    Shares are fractions, times seconds; what does not exist is NaN. Nothing shows the test scores of a sealed study.
    """

    def __init__(self, result: StudyResult, counts: Counts | None = None) -> None:
        self.result = result
        self.counts = counts

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the verdicts and the arms."""
        return notebook_html(self.result)

    @property
    def study(self) -> Study:
        """The study that this is the result of."""
        return self.result.study

    def arms(self) -> pd.DataFrame:
        """Return a row for each arm and metric: mean, SD, the reported number, each seed's value."""
        return arms_table(self.result)

    def runs(self) -> pd.DataFrame:
        """Return a row for each arm and seed: state, health, every metric."""
        return runs_table(self.result)

    def claims(self) -> pd.DataFrame:
        """Return a row for each claim: estimate, interval, p, verdict, sentence."""
        return claims_table(self.result)

    def ensembles(self) -> pd.DataFrame:
        """Return a row for each arm and metric of its seeds averaged as one predictor: value, 95 % interval."""
        return ensembles_table(self.result)

    def curves(self) -> pd.DataFrame:
        """Return a row for each arm, seed and epoch, from 1: rate, losses, accuracies, seconds."""
        return curves_table(self.result)

    def logits(self) -> pd.DataFrame:
        """Return a row for each arm, seed and validation or test case: subject, split, label, logit or logits."""
        return logits_table(self.result)

    def gap(self) -> pd.DataFrame:
        """Return a row for each arm and one for their mean: validation, test, the parts of the gap, the verdict."""
        return gap_frame(self.result.gaps)

    def thresholds(self) -> pd.DataFrame:
        """Return a row for each arm and rule of choosing a threshold: what it gives on validation and on test."""
        return thresholds_frame(self.result.gaps)

    def findings(self) -> pd.DataFrame:
        """Return a row for each case that the audit of the data names: kind, level, case, note."""
        return findings_table(self.result)

    def plot_gap(self) -> Figure:
        """Return a waterfall for each arm, from validation accuracy to test accuracy.

        Raises:
            UserError: no run has finished, the test images are sealed, or there are more than two classes.
        """
        if self.result.sealed or len(self.result.classes) > 2:
            why = "the test images are sealed" if self.result.sealed else "the gap in parts is for two classes"
            raise UserError(self.study.name, why)
        if not self.result.gaps.arms:
            raise UserError(self.study.name, "no run has finished", "", "train it first")
        return waterfall_figure(self.result.gaps)

    def plot_curves(self, experiment: str) -> Figure:
        """Return accuracy and loss by epoch of an experiment's arms.

        Raises:
            UserError: the study has no experiment of that name.
        """
        for candidate in self.study.experiments:
            if candidate.name == experiment:
                return curves_figure(self.result, candidate)
        names = ", ".join(e.name for e in self.study.experiments)
        raise UserError("experiment", f'no experiment "{experiment}"', f"expected one of {names}")

    def plot_arms(self, metric: str = "accuracy") -> Figure:
        """Return every arm's metric, each seed a dot, beside the reported number.

        Raises:
            UserError: there is no metric of that name, it is none of the study's classes, or it is sealed.
        """
        if metric not in metric_names():
            raise UserError("metric", f'unknown metric "{metric}"', did_you_mean(metric, metric_names()))
        if self.result.sealed and needs_test(metric):
            raise UserError("metric", f"{metric} is sealed", "expected a metric of validation", "or unseal the results")
        if any(arm.done and metric not in arm.spreads for arm in self.result.arms):
            classes = len(self.result.classes)
            raise UserError("metric", f"{metric} is not a metric of {classes} classes", "expected one of arms()")
        return arms_figure(self.result, metric)

    def plot_claims(self) -> Figure:
        """Return every claim's gain with its interval beside the margin; empty without claims."""
        return forest_figure(self.result.claims)

    def save_report(self, path: str | Path) -> Path:
        """Write the report as one HTML file that works offline and return its path."""
        check_target(Path(path), "path")
        write_page([self.result], Path(path))
        return Path(path)

    def save_tables(self, folder: str | Path) -> list[Path]:
        """Write every table as CSV and JSON, arms and claims as LaTeX and Markdown, too; return the files."""
        return write_tables(self.result, Path(folder))

    def save_figures(self, folder: str | Path) -> list[Path]:
        """Write every figure as PNG, SVG and PDF; return the files."""
        return save_figures(self.result, Path(folder))

    def save_markdown(self, folder: str | Path) -> list[Path]:
        """Write the study as a page of Markdown with its figures beside it and return the files."""
        return write_markdown(self.result, Path(folder))


def find_study(name: str | Path, store: str | Path, overrides: Mapping[str, Any] | None = None) -> Study:
    """Return a study: a file, else one that the store knows by that name, else a built-in one.

    Raises:
        UserError: there is none of that name.
    """
    if user_path(name, "STUDY").is_file():
        return load_study(name, overrides=overrides)
    try:
        with open_store(Path(store)) as opened:
            document = opened.study_document(str(name))
    except UserError:
        document = None
    if document is not None:
        return study_of(document, overrides)
    if str(name) not in BUILT_IN:
        raise UserError(
            str(name),
            "no such study",
            f"expected a file, a study in {store}, or one of {', '.join(BUILT_IN)}",
            "check the path",
        )
    return load_study(name, overrides=overrides)


def train(
    study: Study,
    store: str | Path,
    how: How | None = None,
    *,
    given: Source | None = None,
    show: Show,
) -> Counts:
    """Prepare and train a study; return how it stands. `given` are images used instead of those that it names."""
    how = how or How()
    where = runner.engine_for(study, how.engine)
    variants = variants_of(study) if how.assumptions else ()
    if how.assumptions and not variants:
        raise UserError(f"{study.place}, assumptions", "there is none to vary", "", "leave out --assumptions")
    with open_store(Path(store), write=True) as opened:
        recover(opened, runner.left_at_work(opened.root, where))
        remove_drafts(opened.data_folder)
        prepared = runner.prepare_study(
            study, opened.data_folder, show, variants, how.device, given=given, engine=where
        )

        def trained(plan: Plan) -> Counts:
            part = replace(prepared, plan=plan)
            return runner.train_study(part, opened, workers=how.workers, show=show, care=how.care, engine=where)

        counts = trained(prepared.plan) if study.looks is None else _grown(study, prepared.plan, opened, trained, show)
        if study.keep_weights == "best" and counts.finished:
            prune(opened, study.name, keep="best", spare_others=True)
        return counts


def _grown(study: Study, plan: Plan, store: Store, trained: Callable[[Plan], Counts], show: Show) -> Counts:
    """Train a study look by look until every claim is decided, or more seeds cannot help; return how it stands."""
    assert study.looks is not None, "a study that grows has looks"
    seeds_of = dict.fromkeys((arm.name for arm in study.arms), 0)
    go_on, new, counts = set(seeds_of), 0, None
    for number, seeds in enumerate(study.looks.seeds, start=1):
        seeds_of |= dict.fromkeys(go_on, seeds)
        counts = trained(limited(plan, seeds_of))
        new += counts.done - counts.reused
        if not counts.finished or counts.failed:
            break
        claims = analyse(study, store).claims
        go_on = arms_that_go_on(claims)
        show.remark(look_text(claims, number, study.looks, len(go_on)))
        if not go_on:
            break
    assert counts is not None, "there is one look at least"
    return replace(counts, reused=counts.done - new)


def prune(
    store: Store, name: str | None = None, *, keep: str = "best", dry_run: bool = False, spare_others: bool = False
) -> Pruned:
    """Remove the stored weights of one study's runs, or of all; every number and logit stays.

    With `keep` = `best`, the best run of each arm of every study stays; with `none`, nothing does. `spare_others`
    also leaves the runs of studies whose own `keep_weights` is `all`.

    Raises:
        UserError: the store has no study of that name.
    """
    known = [study["name"] for study in store.studies()]
    if name is not None and name not in known:
        raise UserError(f"--store {store.root}", f"no study {name}", f"it has {', '.join(known) or 'none'}")
    stay: set[str] = set()
    candidates: set[str] = set()
    for study_name in known:
        mine = {row["run_id"] for row in store.runs_of(study_name)}
        spared = spare_others and study_name != name
        if keep == "best":
            stay |= _to_keep(store, study_name, mine, spared)
        if name in (None, study_name):
            candidates |= mine
    if name is None:
        candidates |= set(store.unused_runs())
    paths = [path for run_id in sorted(candidates - stay) if (path := weights_path(store.root, run_id)).is_file()]
    freed = sum(path.stat().st_size for path in paths)
    if not dry_run:
        for path in paths:
            store.forget_weights(path.parent.name)
            disk.DISK.remove(path)
    return Pruned(runs=len(paths), freed=freed)


def run(
    study: Study | str | Path,
    *,
    store: str | Path = "runs",
    data: ArraySource | None = None,
    workers: int | None = None,
    device: str = "auto",
    engine: str | None = None,
    assumptions: bool = False,
    checkpoint_every: float = 60.0,
    give_up_after: float = 600.0,
    progress: bool = True,
) -> Results:
    """Train what the store lacks of a study and return its results; progress goes to the notebook or terminal.

    `study` may be a study, a file, or a name that the store knows; `data` are images in memory that replace those it
    names (see `ArraySource` and `from_datasets`), and must be given again when it goes on. `workers` is how many runs
    there are at once, one for each core by default; `device` is `auto` (CUDA where there is one), `cpu` or `cuda`;
    `engine` is where: `local`, `ray` or `slurm`, by default what the study says. With `assumptions`, every alternative
    of the study's assumptions is trained too. A run leaves a checkpoint every `checkpoint_every` seconds; one that
    gives no sign of life for `give_up_after` seconds is ended.

    Raises:
        UserError: the study's images do not fit it, or the store cannot be used.
        KeyboardInterrupt: it was stopped; what had finished is kept, and the same call goes on.
        WorkFailed: the disk is full; what had finished is kept, and the same call goes on.
    """
    if workers is not None and workers < 1:
        raise UserError("workers", f"got {workers}", "expected a whole number ≥ 1")
    if not isinstance(study, Study):
        study = find_study(study, store)
    if data is not None:
        study = study_of(document_of(study), {"data.source": {"name": ARRAYS}})
    care = Care(checkpoint_every=checkpoint_every, give_up_after=give_up_after)
    how = How(workers=workers, device=device, engine=engine, assumptions=assumptions, care=care)
    with Progress(Console(stderr=True), study.name) if progress else nullcontext(Silent()) as show:
        counts = train(study, store, how, given=data, show=show)
    if counts.halted:
        raise WorkFailed(counts.in_words())
    if not counts.finished:
        raise KeyboardInterrupt
    return open_results(study, store=store, counts=counts)


def open_results(
    study: Study | str, *, store: str | Path = "runs", counts: Counts | None = None, unseal: bool = False
) -> Results:
    """Return what a store has of a study, without training.

    Of a study with `test: sealed` the test scores are left out, unless `unseal`, which the store writes down each time.

    Raises:
        UserError: the store has nothing of it; or `unseal`, and it is not sealed.
    """
    found = study if isinstance(study, Study) else find_study(study, store)
    if unseal or _opens_a_seal(found, Path(store)):
        _write_unsealing(found, Path(store))
    with open_store(Path(store)) as opened:
        return Results(analyse(found, opened, unsealed=unseal), counts)


def _opens_a_seal(study: Study, store: Path) -> bool:
    """Tell whether a study that is open now is in the store as a sealed one: to show it is to unseal it."""
    if study.sealed:
        return False
    with open_store(store) as opened:
        document = opened.study_document(study.name)
    return document is not None and study_of(document).sealed


def _write_unsealing(study: Study, store: Path) -> None:
    """Write it down before the scores are there, so that no look at them goes uncounted."""
    if not study.sealed and not _opens_a_seal(study, store):
        raise UserError("--unseal", f"{study.name} is not sealed", "", "leave it out")
    with open_store(store) as opened:
        # a study without runs shows nothing, and is not counted as looked at
        analyse(study, opened)
    with open_store(store, write=True) as opened:
        opened.unseal(study.name)
