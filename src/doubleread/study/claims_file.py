"""A file of claims alone, for logits that another program made; a whole study file will do as well."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from doubleread.errors import UserError, did_you_mean
from doubleread.files import user_path
from doubleread.recipe.spec import Size, Spec, Text
from doubleread.study import problems
from doubleread.study.claim_spec import ClaimSpec
from doubleread.study.claims import Claim, check_metrics, refuse_twice, resolve_claims
from doubleread.study.levels import label_of
from doubleread.study.load import load_study
from doubleread.study.parse import BUILT_IN
from doubleread.study.yaml_file import read_mapping


class FileClaim(ClaimSpec):
    """A claim about arms of a file of logits."""

    experiment: Text | None = None
    """The arms are those whose names begin with it and a slash."""


class ClaimsFile(Spec):
    """A file of claims alone, for `judge`."""

    question: Text | None = None
    """What is asked, in a sentence."""
    margin: dict[Text, Size] = Field(default_factory=dict)
    """By metric, the smallest difference that matters, as in a study file."""
    arms: dict[Text, dict[str, Any]] = Field(default_factory=dict)
    """The levels of the arms, `{name: {factor: level}}`, for trends and grids."""
    claims: Annotated[tuple[FileClaim, ...], Field(min_length=1)]
    """The claims, as in a study file."""


def load_claims(source: str | Path, arms: Iterable[str]) -> tuple[Claim, ...]:
    """Return the claims in a file about the arms of a file of logits.

    `source` is a file of claims, a study file, or the name of a built-in study.

    Raises:
        UserError: there is no such file, or something in it does not fit the arms.
    """
    if str(source) in BUILT_IN:
        return _known(load_study(source).claims, set(arms), str(source))
    path = user_path(source, "--claims")
    if not path.is_file():
        raise UserError(str(source), "no such file", "expected a file of claims, or a study file", "check the path")
    raw = read_mapping(path)
    if "experiments" in raw:
        return _known(load_study(path).claims, set(arms), path.name)
    try:
        checked = ClaimsFile.model_validate(raw)
    except ValidationError as error:
        raise problems.user_error(error, raw, lambda at: _place(path, at), ClaimsFile) from error
    return _resolved(checked, list(arms), path.name)


def _resolved(checked: ClaimsFile, arms: list[str], place: str) -> tuple[Claim, ...]:
    check_metrics(checked.margin, f"{place}, margin")
    _check_arms(checked.arms, arms, f"{place}, arms")
    refuse_twice([claim.id for claim in checked.claims], place)
    found = []
    for claim in checked.claims:
        mine = [arm for arm in arms if claim.experiment is None or arm.startswith(f"{claim.experiment}/")]
        if not mine:
            raise UserError(
                f"{place}, claims.{claim.id}.experiment",
                f"no arm begins with {claim.experiment}/",
                did_you_mean("", arms),
            )
        levels = {arm: _levels(checked, arm) for arm in mine}
        found += resolve_claims([claim], claim.experiment or "", levels, checked.margin, f"{place}, claims")
    return tuple(found)


def _check_arms(levels: dict[str, dict[str, Any]], arms: list[str], place: str) -> None:
    """Stop where `arms` names an arm that is not there, leaves one out, or gives one other factors than the rest."""
    for name in levels:
        if name not in arms:
            raise UserError(f"{place}.{name}", f"no arm {name}", did_you_mean(name, arms), "name it as the logits do")
    missing = [arm for arm in arms if levels and arm not in levels]
    if missing:
        raise UserError(place, f"arm {missing[0]} has no levels", "expected levels for every arm", "add them")
    factors = [set(found) for found in levels.values()]
    if any(found != factors[0] or not found for found in factors):
        raise UserError(
            place, "arms with other factors than the rest", "expected the same factors for each", "mend them"
        )


def _levels(checked: ClaimsFile, arm: str) -> dict[str, str]:
    if arm in checked.arms:
        return {factor: label_of(level) for factor, level in checked.arms[arm].items()}
    return {"arm": arm.partition("/")[2] or arm}


def _known(claims: tuple[Claim, ...], arms: set[str], place: str) -> tuple[Claim, ...]:
    """Return a study's claims; those about arms without logits stay, so that the correction counts the whole family."""
    if not any(set(claim.arms) <= arms for claim in claims):
        raise UserError(
            place, "no claim about the arms of the logits", f"they are {', '.join(sorted(arms))}", "name arms as there"
        )
    return claims


def _place(path: Path, at: problems.Path) -> str:
    dotted = ".".join(str(part) for part in at)
    return f"{path.name}, {dotted}"
