"""The tables of the page on the study file: keys, what a named part may be, the phantom's knobs, metrics."""

from __future__ import annotations

import dataclasses

from doubleread.errors import UserError
from doubleread.images import READERS
from doubleread.images.phantom import PhantomSpec
from doubleread.markdown import escaped, table
from doubleread.metrics import (
    CASE_METRICS,
    CLASS_METRICS,
    CURVE_METRICS,
    GAP_METRICS,
    RUN_METRICS,
    CaseMetric,
    direction,
)
from doubleread.recipe import OWN, PARTS, Augmentation, OwnModel, Recipe, Spec, Stop
from doubleread.recipe.data import Columns, DataSpec, DrawnSplit, Sample
from doubleread.study.claim_spec import ClaimSpec
from doubleread.study.claims_file import ClaimsFile, FileClaim
from doubleread.study.engine_spec import EngineSpec, SiteSpec
from doubleread.study.schema import (
    Assumption,
    Contradiction,
    ExperimentSpec,
    GapSpec,
    Prior,
    Reporting,
    StudyFile,
    UntilDecided,
)
from doubleread.study.threshold_spec import ThresholdSpec
from tools.reference.fields import Row, cell, listed, row_table, rows_of, shown, specs_in
from tools.reference.sources import meaning_of, summary_of

SECTIONS: dict[type[Spec], str] = {
    StudyFile: "#the-top-level",
    DataSpec: "#data",
    Sample: "#datasample",
    DrawnSplit: "#datasplit",
    Columns: "#datacolumns",
    Recipe: "#base",
    Augmentation: "#augmentation",
    Stop: "#stop",
    ExperimentSpec: "#experiments",
    ClaimSpec: "#claims",
    UntilDecided: "#seeds-until-it-is-decided",
    Prior: "#prior",
    Assumption: "#assumptions",
    Contradiction: "#contradictions",
    GapSpec: "#gap",
    Reporting: "#reporting",
    EngineSpec: "#engine",
    SiteSpec: "#the-site-file",
    ClaimsFile: "#a-file-of-claims-alone",
    FileClaim: "#a-file-of-claims-alone",
}
"""Every specification that has a table of its own, and where that is on the page."""
CHOSEN = {spec.__name__: f"#{part}" for part, specs in PARTS.items() for spec in specs.values()}
PLACES = {spec.__name__: place for spec, place in SECTIONS.items()} | CHOSEN
BETTER = {1: "higher", -1: "lower", 0: "neither"}
KNOWN = {(DataSpec, "kind"): (*READERS, "phantom")}
"""Names that a register knows and the specification does not."""
ELSEWHERE = {ThresholdSpec}
"""Written otherwise in a file than it is kept: the page says how by hand."""


def keys(name: str) -> list[str]:
    """Return the table of one specification's keys, but those of the specification that it extends."""
    spec = next(spec for spec in SECTIONS if spec.__name__ == name)
    above = {key for parent in spec.__bases__ if parent in SECTIONS for key in parent.model_fields}
    rows = [row for row in rows_of(spec, PLACES) if row.key not in above]
    known = {row.key: listed([f"`{one}`" for one in KNOWN[spec, row.key]]) for row in rows if (spec, row.key) in KNOWN}
    return row_table(dataclasses.replace(row, allowed=known.get(row.key, row.allowed)) for row in rows)


def choices(part: str) -> list[str]:
    """Return what a named part of a recipe may be: what all have, then a section for each."""
    specs = {**PARTS[part], **({OWN: OwnModel} if part == "model" else {})}
    rows = {name: [row for row in rows_of(spec, PLACES) if row.key != "name"] for name, spec in specs.items()}
    common = [row for row in next(iter(rows.values())) if all(row in others for others in rows.values())]
    own = {name: [row for row in mine if row not in common] for name, mine in rows.items()}
    lines = ["Each of them has:", "", *row_table(common), ""] if common else []
    bare = [[f"`{name}`", cell(summary_of(spec))] for name, spec in specs.items() if not own[name]]
    lines += [f"Without {'further ' if common else ''}options of its own:", "", *table(("name", "is"), bare), ""]
    for name in own:
        if own[name]:
            lines += [f"#### `{name}`", "", summary_of(specs[name]), "", *row_table(own[name]), ""]
    return lines


def phantom(_name: str) -> list[str]:
    """Return the table of the phantom's knobs."""
    rows = []
    for field in dataclasses.fields(PhantomSpec):
        allowed, meaning = escaped(_range_of(field.name)), meaning_of(PhantomSpec, field.name)
        rows.append(Row(key=field.name, allowed=allowed, default=shown(field.default), meaning=meaning))
    return row_table(rows)


def metrics(kind: str) -> list[str]:
    """Return a table of metrics: of `cases`, of `classes`, of `runs` or of `curves`."""
    heads = ("metric", "is", "better")
    if kind in ("cases", "classes"):
        of_cases = CASE_METRICS if kind == "cases" else CLASS_METRICS
        return table(heads, [[f"`{name}`", cell(_of_cases(one)), BETTER[one.better]] for name, one in of_cases.items()])
    if kind == "curves":
        rows = [
            [f"`{name}`", cell(escaped(one.definition)), cell(escaped(_more(one.formula))), BETTER[one.better]]
            for name, one in CURVE_METRICS.items()
        ]
        return table(("metric", "is", "to know", "better"), rows)
    plain = {**RUN_METRICS, **GAP_METRICS}
    return table(heads, [[f"`{name}`", cell(escaped(text)), BETTER[direction(name)]] for name, text in plain.items()])


def documented() -> set[type[Spec]]:
    """Return every specification that a study file is made of, found from the top."""
    found: set[type[Spec]] = set()
    waiting: list[type[Spec]] = [StudyFile]
    while waiting:
        spec = waiting.pop()
        if spec not in found and spec not in ELSEWHERE:
            found.add(spec)
            waiting += [inner for field in spec.model_fields.values() for inner in specs_in(field.annotation)]
    return found


def chosen() -> set[type[Spec]]:
    """Return every specification that is chosen by its name in a recipe."""
    return {spec for specs in PARTS.values() for spec in specs.values()} | {OwnModel}


def _of_cases(metric: CaseMetric) -> str:
    if metric.formula is None:
        return escaped(metric.label)
    return escaped(summary_of(metric.formula).split("\n\n")[0].removeprefix("Return ").removesuffix("."))


def _more(formula: object) -> str:
    """Return what the second paragraph of a formula's docstring adds."""
    return summary_of(formula).partition("\n\n")[2]


def _range_of(knob: str) -> str:
    """Return what a knob may be, in the words of the error that refuses everything else."""
    try:
        PhantomSpec(**{knob: "nothing that is allowed"})
    except UserError as error:
        return error.allowed.removeprefix("expected ")
    raise AssertionError(f"the phantom takes anything as {knob}")
