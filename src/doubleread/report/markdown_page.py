"""A study as a page of Markdown with its figures beside it: what was claimed, what was measured, what one run hides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from doubleread.analysis import ClaimResult, StudyResult
from doubleread.files import write_bytes, write_text
from doubleread.markdown import escaped, table
from doubleread.report import words
from doubleread.report.claims import claim_statement, claim_title, estimate_text, registration_lines, settings_text
from doubleread.report.figures import curves_figure, rendered
from doubleread.report.forest import forest_figure
from doubleread.report.gap_figures import waterfall_figure
from doubleread.report.gaps import gap_sentence, leakage_note, tenths, verdict_text
from doubleread.report.hidden import hidden_by_one_run
from doubleread.report.methods import methods
from doubleread.report.sentences import amount, notes, sentence
from doubleread.report.tables import reported_of
from doubleread.stats import PARTS, Estimate, Gap
from doubleread.study import Assumption, Experiment

ROLES = {"primary": "Claims", "secondary": "Secondary claims"}


def write_markdown(result: StudyResult, folder: Path) -> list[Path]:
    """Write STUDY.md and its figures, STUDY-….png, into a folder; return the files."""
    study = result.study
    page = folder / f"{study.name}.md"
    figures = {_curves_file(study.name, experiment): curves_figure(result, experiment) for experiment in _shown(result)}
    for role in ROLES:
        if claims := _claims_of(result, role):
            figures[_forest_file(study.name, role)] = forest_figure(claims)
    if result.gaps.arms:
        figures[_gap_file(study.name)] = waterfall_figure(result.gaps)
    for name, figure in figures.items():
        write_bytes(folder / name, rendered(figure, "png"))
    write_text(page, markdown_page(result))
    return [page, *(folder / name for name in figures)]


def markdown_page(result: StudyResult) -> str:
    """Return the page; it names figures that `write_markdown` puts beside it."""
    study = result.study
    parts = [
        [f"# {escaped(study.name)}", "", escaped(study.question), ""],
        _about(result),
        *(_claims(result, role) for role in ROLES),
        *(_experiment(result, experiment) for experiment in _shown(result)),
        _section("What one run could not show", _bullets(hidden_by_one_run(result))),
        _gap(result),
        _assumptions(result),
        _contradictions(result),
        _section("Methods", [line for text in methods(result) for line in (escaped(text), "")]),
        [f"*{words.INTENDED_USE}*", ""],
    ]
    return "\n".join(line for part in parts for line in part)


def _about(result: StudyResult) -> list[str]:
    counts, study = result.counts(), result.study
    lines = [f"{counts['done']} runs, seeds {words.seeds_of(study)}."]
    if study.source_note:
        lines += ["", f"Reported numbers: {escaped(study.source_note)}"]
    if any(data.meta["kind"] == "phantom" for data in result.data):
        lines += ["", f"**{words.SYNTHETIC}**"]
    if (sealed := words.seal_text(result)) is not None:
        lines += ["", sealed]
    if (kept := result.registration) is not None:
        changed = [f"{line[:1].upper()}{line[1:]}." for line in registration_lines(kept)]
        said = changed or [f"Claims and margins read as they did at the first run, {kept.registered}."]
        lines += ["", escaped(" ".join(said))]
    if study.overrides:
        told = ", ".join(f"`{path} = {words.override_text(path, value)}`" for path, value in study.overrides.items())
        lines += ["", f"Set otherwise than in the study file: {told}."]
    return [*lines, ""]


def _claims(result: StudyResult, role: str) -> list[str]:
    claims = _claims_of(result, role)
    if not claims:
        return []
    rows = [
        [
            f"{escaped(claim_title(claim))}<br>*{escaped(claim_statement(claim))}*" if claim.claim.says else title,
            f"**{claim.verdict.value}**" + (f", {claim.decision.qualifier}" if claim.decision.qualifier else ""),
            estimate_text(claim),
            amount(claim.claim.metric, claim.claim.margin),
            words.p_text(claim.decision.p_holm),
            amount(claim.claim.metric, claim.mdd) if claim.mdd == claim.mdd else "–",
        ]
        for claim in claims
        for title in (escaped(claim_title(claim)),)
    ]
    heads = ["claim", "verdict", "difference (95 % interval)", "margin", "p (Holm)", "detectable"]
    picture = f"![The gain of each claim with its 95 % interval, in margins]({_forest_file(result.study.name, role)})"
    return _section(ROLES[role], [*table(heads, rows), "", picture, "", *_in_words(result, claims)])


def _in_words(result: StudyResult, claims: Sequence[ClaimResult]) -> list[str]:
    lines = []
    for claim in claims:
        said = [sentence(claim), *notes(claim)]
        if (settings := settings_text(claim, result.settings)) is not None:
            said.append(settings)
        lines.append(f"- **{escaped(claim_title(claim))}**: {escaped(' '.join(said))}")
    return lines


def _experiment(result: StudyResult, experiment: Experiment) -> list[str]:
    scored, trained = words.scored_columns(result), words.training_columns(experiment)
    picture = (
        f"![Training (blue) and validation (orange) of each arm, a line for each seed, the mean, and the band from the"
        f" lowest to the highest seed]({_curves_file(result.study.name, experiment)})"
    )
    return _section(
        escaped(experiment.title),
        [
            *_measured(result, experiment, scored[0]),
            "",
            *_means(result, experiment, (*scored[1:], *trained)),
            "",
            picture,
        ],
    )


def _measured(result: StudyResult, experiment: Experiment, metric: str) -> list[str]:
    """Return the table that has the reported numbers beside those measured."""
    rows = []
    for arm in (result.of(arm.name) for arm in experiment.arms):
        spread, reported = arm.spreads.get(metric), reported_of(result, arm).get(metric)
        more = words.predicted_range(metric, spread) if spread else None
        rows.append(
            [
                escaped(arm.arm.label),
                words.reported_text(metric, reported) if reported else "–",
                words.spread_text(metric, spread) if spread else "–",
                (words.interval_text(metric, spread) if spread else None) or "–",
                more or "–",
                (words.predicted_text(metric, spread, reported) or "–").split()[0] if spread and reported else "–",
                "; ".join(flag.text for flag in words.flags_of(arm)) or "–",
            ]
        )
    heads = [
        "arm",
        f"reported {words.LABELS[metric]}",
        "measured, mean ± SD",
        "95 % interval of the mean",
        "one more run",
        "there the reported is",
        "runs",
    ]
    return table(heads, rows)


def _means(result: StudyResult, experiment: Experiment, columns: Sequence[str]) -> list[str]:
    rows = []
    for arm in (result.of(arm.name) for arm in experiment.arms):
        reported = reported_of(result, arm)
        cells = []
        for metric in columns:
            told = f" (reported {words.reported_text(metric, reported[metric])})" if metric in reported else ""
            cells.append((words.spread_text(metric, arm.spreads[metric]) if metric in arm.spreads else "–") + told)
        rows.append([escaped(arm.arm.label), *cells])
    return table(["arm", *(words.LABELS[metric] for metric in columns)], rows)


def _gap(result: StudyResult) -> list[str]:
    gaps = result.gaps
    if not gaps.arms:
        return []
    named: list[tuple[str, Gap]] = [(gap.arm, gap.gap) for gap in gaps.arms]
    lines = []
    if gaps.overall is not None:
        named.append(("mean of the arms", gaps.overall))
        lines += [gap_sentence(gaps.overall), ""]
    rows = [
        [
            escaped(name),
            *(f"{tenths(found)[0]} %" for found in (gap.val, gap.test)),
            *(_part(found) for found in (gap.gap, *(getattr(gap, part) for part in PARTS))),
            verdict_text(gap) + (f": {', '.join(gap.verdict.parts)}" if gap.verdict.kind == "mixed" else ""),
        ]
        for name, gap in named
    ]
    lines += table(["arm", "validation", "test", "gap, points", *PARTS, "verdict"], rows)
    if (note := leakage_note(result)) is not None:
        lines += ["", escaped(note)]
    picture = f"![From validation to test accuracy of each arm, a step for each part]({_gap_file(result.study.name)})"
    return _section("Why test is below validation", [*lines, "", picture])


def _part(found: Estimate | None) -> str:
    if found is None:
        return "–"
    value, interval = tenths(found)
    return f"{value} ({interval})" if interval else value


def _assumptions(result: StudyResult) -> list[str]:
    study = result.study
    rows = [
        [f"`{found.path}`", escaped(words.plain(found.assumed)), escaped(_alternatives(found)), escaped(found.because)]
        for found in study.assumptions.values()
    ]
    if not rows:
        return []
    varied = "varied, one at a time" if result.settings else "not varied here; `run --assumptions` trains them too"
    return _section(
        "What the report leaves out",
        [f"The alternatives were {varied}.", "", *table(["setting", "assumed", "alternatives", "because"], rows)],
    )


def _contradictions(result: StudyResult) -> list[str]:
    rows = [[escaped(text) for text in (one.about, one.says, one.shown)] for one in result.study.contradictions]
    return _section("What it leaves contradictory", table(["about", "it says", "shown here"], rows)) if rows else []


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""] if lines else []


def _bullets(texts: Sequence[str]) -> list[str]:
    return [f"- {escaped(text)}" for text in texts]


def _claims_of(result: StudyResult, role: str) -> list[ClaimResult]:
    return [claim for claim in result.claims if claim.claim.role == role]


def _shown(result: StudyResult) -> list[Experiment]:
    """Return the experiments that have something to show."""
    return [e for e in result.study.experiments if any(result.of(arm.name).done for arm in e.arms)]


def _alternatives(found: Assumption) -> str:
    return "; ".join(words.plain(value) for value in found.alternatives)


def _curves_file(study: str, experiment: Experiment) -> str:
    return f"{study}-curves-{experiment.name}.png"


def _forest_file(study: str, role: str) -> str:
    return f"{study}-{role}-claims.png"


def _gap_file(study: str) -> str:
    return f"{study}-gap.png"
