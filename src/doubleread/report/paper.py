"""Tables that can stand in a paper: arms and claims as LaTeX (booktabs) and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from doubleread.analysis import Spread, StudyResult
from doubleread.markdown import escaped, table
from doubleread.report import words
from doubleread.report.claims import claim_title, estimate_text

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "±": r"$\pm$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "×": r"$\times$",
    "–": "--",
    "“": "``",
    "”": "''",
    "<": r"$<$",
    ">": r"$>$",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
Table = tuple[list[str], list[list[str]]]
"""Heads, and rows of as many texts."""


def paper_tables(result: StudyResult) -> dict[str, str]:
    """Return the files: `arms.tex`, `arms.md` and, of a study with claims, `claims.tex`, `claims.md`."""
    tables = {"arms": (_arms(result), _arms_note(result))}
    if result.claims:
        tables["claims"] = (_claims(result), _claims_note(result))
    kinds: dict[str, Callable[[str, Table, str], str]] = {"tex": _latex, "md": _markdown}
    return {
        f"{name}.{kind}": write(f"{result.study.name}-{name}", table, note)
        for name, (table, note) in tables.items()
        for kind, write in kinds.items()
    }


def _arms(result: StudyResult) -> Table:
    columns = words.scored_columns(result)
    heads = ["Experiment", "Arm", "Seeds", *(_capital(words.LABELS[name]) for name in columns)]
    rows = [
        [arm.arm.experiment, arm.arm.label, str(len(arm.done)), *(_spread(arm.spreads, name) for name in columns)]
        for arm in result.arms
    ]
    return heads, rows


def _spread(spreads: Mapping[str, Spread], metric: str) -> str:
    if metric not in spreads:
        return "–"
    mean, interval = words.value_text(metric, spreads[metric].mean), words.interval_text(metric, spreads[metric])
    return mean if interval is None else f"{mean.removesuffix(' %')} ({interval})"


def _claims(result: StudyResult) -> Table:
    heads = ["Claim", "Difference (95 % CI)", "p", "Verdict"]
    rows = [
        [claim_title(claim), estimate_text(claim), words.p_text(claim.decision.p_holm), claim.verdict.value]
        for claim in result.claims
    ]
    return heads, rows


def _arms_note(result: StudyResult) -> str:
    where = "validation" if result.sealed else "test"
    return f"Mean over the seeds (95 % confidence interval over seeds and {where} images)."


def _claims_note(result: StudyResult) -> str:
    roles = [sum(claim.claim.role == role for claim in result.claims) for role in ("primary", "secondary")]
    return f"p after Holm's correction over {roles[0]} primary and {roles[1]} secondary claims, each kind by itself."


def _latex(label: str, table: Table, note: str) -> str:
    heads, rows = table
    body = [" & ".join(_escaped(text) for text in row) + r" \\" for row in rows]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            rf"\caption{{{_escaped(note)}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{{'l' * len(heads)}}}",
            r"\toprule",
            " & ".join(_escaped(text) for text in heads) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _markdown(label: str, of: Table, note: str) -> str:
    heads, rows = of
    cells = [[escaped(text) for text in row] for row in rows]
    return "\n".join([f"**{label}.** {note}", "", *table(heads, cells), ""])


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in _one_line(text))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
