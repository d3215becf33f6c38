"""Claims: from what a study file says about its arms to contrasts of arms."""

# T arms

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from doubleread.errors import UserError, did_you_mean
from doubleread.metrics import CURVE_METRICS, CURVES, direction, is_share, metric_names
from doubleread.stats import trend_weights
from doubleread.study.claim_spec import FIRST_KEYS, NUMBER, ClaimSpec
from doubleread.study.levels import label_of
from doubleread.study.problems import show

Kind = Literal["two arms", "interaction", "equal", "trend", "best", "one arm"]
ALL = "all"
"""In place of an arm: the mean of all arms of the experiment."""
DEFAULT_MARGINS = {"accuracy": 0.02, "auroc": 0.02, "macro_auroc": 0.02}
Weights = dict[str, float]
Levels = Mapping[str, Mapping[str, str]]
"""The arms that a claim may be about, name → its levels by factor."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A claim about named arms, as contrasts.

    Each of `contrasts` maps arms to weights; more than one, for “best of all”, all have to hold. `sign` is 1 where a
    larger value is claimed, −1 for a smaller one. `offset` is the number that one arm is compared with. `first` and
    `second` are how the two sides are called, `better_arm` and `than_arm` the arms' names where a side is one arm; of
    a trend they are the highest and the lowest level. `steps` are the differences of adjacent levels, upwards.
    `default_margin` tells whether nobody named the margin.
    """

    id: str
    role: Literal["primary", "secondary"]
    experiment: str
    kind: Kind
    metric: str
    margin: float
    sign: int
    first: str
    second: str
    better_arm: str
    than_arm: str | None
    contrasts: tuple[Weights, ...]
    rivals: tuple[str, ...] = ()
    steps: tuple[Weights, ...] = ()
    offset: float = 0.0
    says: str | None = None
    default_margin: bool = False

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm that the claim is about."""
        return tuple(dict.fromkeys(arm for weights in self.contrasts for arm in weights))

    def canonical(self) -> dict[str, Any]:
        """Return what a claim says, for its hash: the words that it is told in are left out."""
        return {key: getattr(self, key) for key in ("role", "kind", "metric", "margin", "sign", "contrasts", "offset")}


def resolve_claims(
    specs: Sequence[ClaimSpec], experiment: str, arms: Levels, margins: Mapping[str, float], place: str
) -> tuple[Claim, ...]:
    """Return the claims of one experiment about its arms; `place` is where they stand, for errors.

    Raises:
        UserError: an arm, metric or margin that is not there; a trend over levels that are no numbers above 0.
    """
    return tuple(_Resolver(spec, experiment, arms, margins, f"{place}.{spec.id}").claim() for spec in specs)


def check_metrics(metrics: Iterable[str], place: str) -> None:
    """Check that every name is a metric, or that of a curve's metric for all curves.

    Raises:
        UserError: one is not.
    """
    known = [*metric_names(), *CURVE_METRICS]
    for metric in metrics:
        if metric not in known:
            raise UserError(f"{place}.{metric}", f'unknown metric "{metric}"', did_you_mean(metric, known))


def refuse_twice(ids: Sequence[str], place: str) -> None:
    """Stop where two claims of a study have one id.

    Raises:
        UserError: two have.
    """
    for name in ids:
        if ids.count(name) > 1:
            raise UserError(f"{place}, claims.{name}", f"two claims are called {name}", "", "give one another id")


class _Resolver:
    """Turns one claim of a file into a `Claim`; `place` names it in errors."""

    def __init__(
        self, spec: ClaimSpec, experiment: str, arms: Levels, margins: Mapping[str, float], place: str
    ) -> None:
        self.spec, self.experiment, self.arms, self.margins, self.place = spec, experiment, arms, margins, place
        self.metric = self._metric()

    def claim(self) -> Claim:
        spec = self.spec
        if spec.same is not None:
            return self._two("equal", spec.same[0], spec.same[1], 1)
        if spec.trend is not None:
            return self._trend()
        for key, sign in (("best", 1), ("worst", -1)):
            if (arm := getattr(spec, key)) is not None:
                return self._best(arm, sign * self._direction(key))
        if spec.arm is not None:
            above = spec.above is not None
            weights = self._mean(spec.arm)
            offset = spec.above if spec.above is not None else spec.below
            assert offset is not None, "the schema has one of them"
            if self.spec.metric == "change_after_peak" and offset == 0:
                raise UserError(
                    self.place, "a change after the peak is on one side of 0 always", "", "name another number"
                )
            self._check_fraction("above" if above else "below", offset, 0 if direction(self.metric) else -1)
            return self._made("one arm", 1 if above else -1, spec.arm, f"{offset:g}", (weights,), offset=offset)
        for key in ("better", "higher", "lower"):
            if (arm := getattr(spec, key)) is not None:
                sign = self._direction(key) if key == "better" else (1 if key == "higher" else -1)
                return self._two("two arms", arm, spec.than, sign)
        raise AssertionError("the schema has one kind")

    def _two(self, kind: Kind, first: Any, second: Any, sign: int) -> Claim:
        spec = self.spec
        if spec.more_at is None or spec.than_at is None:
            weights = _less(self._mean(first), self._mean(second))
            if _is_part(first) and _is_part(second) and set(first) == set(second):
                self._refuse_unlike(first, second)
            if not any(weights.values()):
                raise UserError(self.place, "both sides are the same arms", "", "name two different ones")
            return self._made(kind, sign, first, second, (weights,))
        for arm in (first, second):
            if not isinstance(arm, Mapping):
                raise UserError(self.place, f"got {show(arm)}", "expected {factor: label} beside more_at")
            if set(arm) & (set(spec.more_at) | set(spec.than_at)):
                raise UserError(
                    self.place, "one factor on both sides of the interaction", "expected two factors", "name another"
                )
        here, there = (
            _less(self._mean({**first, **at}), self._mean({**second, **at})) for at in (spec.more_at, spec.than_at)
        )
        if not any(_less(here, there).values()):
            raise UserError(self.place, "both sides are the same arms", "", "name two different ones")
        called = f"{self._called(first)} − {self._called(second)} at "
        return self._made(
            "interaction",
            sign,
            called + self._called(spec.more_at),
            called + self._called(spec.than_at),
            (_less(here, there),),
        )

    def _trend(self) -> Claim:
        factors = list(next(iter(self.arms.values())))
        factor = self.spec.factor or (factors[0] if len(factors) == 1 else "")
        if factor not in factors:
            found = f"no factor {factor}" if factor else "the experiment has several factors"
            raise UserError(self.place, found, f"expected factor: {' or '.join(factors)}")
        labels = list(dict.fromkeys(levels[factor] for levels in self.arms.values()))
        try:
            levels = {label: number_of(label) for label in labels}
            weights_T = trend_weights(list(levels.values()))
        except ValueError as error:
            raise UserError(
                self.place, f"no trend over {', '.join(labels)} ({error})", "expected levels that are numbers above 0"
            ) from error
        means = {label: self._mean({factor: label}) for label in labels}
        self._refuse_unlike(*({factor: label} for label in labels))
        weights = _sum([_times(means[label], float(w)) for label, w in zip(labels, weights_T, strict=True)])
        ordered = sorted(labels, key=lambda label: levels[label])
        steps = tuple(_less(means[high], means[low]) for low, high in pairwise(ordered))
        sign = 1 if self.spec.trend == "increasing" else -1
        highest, lowest = {factor: ordered[-1]}, {factor: ordered[0]}
        return self._made("trend", sign, highest, lowest, (weights,), steps=steps)

    def _best(self, arm: Any, sign: int) -> Claim:
        mine = self._named(arm)
        rivals = tuple(name for name in self.arms if name not in mine)
        if len(mine) != 1 or not rivals:
            raise UserError(self.place, f"got {show(arm)}", "expected one arm of two or more")
        contrasts = tuple(_less(self._mean(arm), {rival: 1.0}) for rival in rivals)
        return self._made(
            "best", sign, arm, "all others", contrasts, rivals=tuple(self._called(_short(rival)) for rival in rivals)
        )

    def _made(
        self, kind: Kind, sign: int, first: Any, second: Any, contrasts: tuple[Weights, ...], **more: Any
    ) -> Claim:
        """Return the claim; `first` and `second` are arms as a file calls them, or texts."""
        return Claim(
            id=self.spec.id,
            role=self.spec.role,
            experiment=self.experiment,
            kind=kind,
            metric=self.metric,
            margin=self._margin(),
            sign=sign,
            first=self._called(first),
            second=second if kind == "one arm" else self._called(second),
            better_arm=self._name(first),
            than_arm=self._name(second) if kind != "one arm" else None,
            contrasts=contrasts,
            says=self.spec.says,
            default_margin=self._named_margin() is None,
            **more,
        )

    def _refuse_unlike(self, *sides: Mapping[str, Any]) -> None:
        """Stop where sides are averaged over other combinations of the remaining factors: that would confound them."""
        found = []
        for side in sides:
            named = {str(factor) for factor in side}
            arms = (self.arms[name].items() for name in self._named(side))
            found.append(sorted(tuple((f, label) for f, label in levels if f not in named) for levels in arms))
        if any(rest != found[0] for rest in found):
            raise UserError(
                self.place,
                "the sides have other levels of the remaining factors",
                "expected the same on each",
                "name those levels too",
            )

    def _mean(self, arm: Any) -> Weights:
        names = self._named(arm)
        return {name: 1 / len(names) for name in names}

    def _named(self, arm: Any) -> list[str]:
        """Return the arms that a file calls `arm`: one by its label, or all that have the named levels."""
        if _is_part(arm):
            wanted = {str(factor): label_of(label) for factor, label in arm.items()}
            if not wanted:
                raise UserError(self.place, "an arm without a level", "expected {factor: label, …}, or all", "name one")
            names = [name for name, levels in self.arms.items() if wanted.items() <= dict(levels).items()]
        else:
            names = [name for name in self.arms if label_of(arm) == name]
            names = names or [name for name in self.arms if label_of(arm) == _short(name)]
            if len(names) > 1:
                found = f"{label_of(arm)} is {' and '.join(names[:3])}"
                raise UserError(self.place, found, "expected one arm", "write its whole name, or experiment: NAME")
            names = names or (list(self.arms) if arm == ALL else [])
        if not names:
            known = [_short(name) for name in self.arms]
            raise UserError(self.place, f"no arm {show(arm)}", self._likely(self._called(arm), known))
        return names

    def _likely(self, called: str, known: Sequence[str]) -> str:
        """Return the arm that is meant by `called`; all arms where that one stands in the claim already."""
        sides = (getattr(self.spec, key) for key in (*FIRST_KEYS, "than"))
        arms = (arm for side in sides for arm in (side if isinstance(side, tuple) else (side,)))
        there = {label_of(arm) for arm in arms if arm is not None and not isinstance(arm, Mapping)}
        likely = did_you_mean(called, known)
        taken = any(likely == f'did you mean "{_short(name)}"?' for name in self.arms if {name, _short(name)} & there)
        return f"expected one of {', '.join(sorted(known))}" if taken else likely

    def _called(self, arm: Any) -> str:
        """Return how people call an arm: its label, with its factor where the label is a number."""
        if _is_part(arm):
            return ", ".join(f"{_factor(str(factor))} {label_of(label)}" for factor, label in arm.items())
        label = label_of(arm)
        if label in self.arms and sum(_short(name) == _short(label) for name in self.arms) == 1:
            label = _short(label)
        factors = list(next(iter(self.arms.values())))
        alone = factors[0] if len(factors) == 1 else None
        if arm == ALL:
            return "all arms together"
        return f"{_factor(alone)} {label}" if alone is not None and _is_number(label) else label

    def _name(self, arm: Any) -> str:
        """Return the name of the one arm that is meant, or how its side is called."""
        label = label_of(arm)
        named = [name for name in self.arms if name == label]
        named = named or [name for name in self.arms if _short(name) == label]
        if isinstance(arm, Mapping) and len(found := self._named(arm)) == 1:
            named = found
        return named[0] if len(named) == 1 else self._called(arm)

    def _metric(self) -> str:
        metric, on = self.spec.metric, self.spec.on
        if metric in CURVE_METRICS:
            if on is None:
                raise UserError(self.place, f"{metric} of no curve", f"expected on: {' or '.join(CURVES)}")
            return f"{metric}_{on}"
        if on is not None:
            raise UserError(self.place, f"on has no effect with {metric}", "", "delete it")
        if metric not in metric_names():
            known = [*metric_names(), *CURVE_METRICS]
            raise UserError(self.place, f'unknown metric "{metric}"', did_you_mean(metric, known))
        return metric

    def _check_fraction(self, what: str, value: float, least: float, place: str = "") -> None:
        """Stop where a number that is compared with a share is none; 72 is meant as 0.72."""
        if is_share(self.metric) and not least <= value <= 1:
            points = what == "margin" or not direction(self.metric)
            allowed, write = f"expected a fraction from {least:g} to 1", "2 points as 0.02" if points else "80 % as 0.8"
            raise UserError(place or self.place, f"{what} {value:g}", allowed, f"write {write}")

    def _direction(self, key: str) -> int:
        if (sign := direction(self.metric)) == 0:
            instead = "higher or lower" if key == "better" else "two arms with higher or lower"
            raise UserError(self.place, f"{self.metric} is neither good nor bad", f"expected {instead}, not {key}")
        return sign

    def _named_margin(self) -> tuple[float, str] | None:
        """Return the margin that somebody named, and where it stands; None where nobody did."""
        if self.spec.margin is not None:
            return self.spec.margin, self.place
        name = next((name for name in (self.metric, self.spec.metric) if name in self.margins), None)
        return (self.margins[name], f"{self.place.rpartition(', ')[0]}, margin.{name}") if name is not None else None

    def _margin(self) -> float:
        if (named := self._named_margin()) is not None:
            margin, place = named
            self._check_fraction("margin", margin, 0, place)
            return margin
        if self.metric in DEFAULT_MARGINS:
            return DEFAULT_MARGINS[self.metric]
        raise UserError(
            self.place,
            f"no margin for {self.spec.metric}",
            "expected the smallest difference that matters",
            f"write margin: {{{self.spec.metric}: NUMBER}} at the top of the file, or margin: NUMBER in the claim",
        )


def _is_part(arm: Any) -> bool:
    """Tell whether an arm is named by levels of factors, rather than by its label or by a level written out."""
    return isinstance(arm, Mapping) and not {"label", "name"} & set(arm)


def _factor(path: str) -> str:
    """Return the last part of a factor's path as a word."""
    return {"lr": "rate"}.get(last := path.rpartition(".")[2], last.replace("_", " "))


def number_of(label: str) -> float:
    """Return the number that a level's label is.

    Raises:
        ValueError: it is none.
    """
    if not _is_number(label):
        raise ValueError(f"{label} is no number")
    return float(label)


def _is_number(label: str) -> bool:
    return re.fullmatch(NUMBER, label, re.ASCII) is not None


def _short(name: str) -> str:
    return name.partition("/")[2] or name


def _times(weights: Weights, factor: float) -> Weights:
    return {arm: factor * weight for arm, weight in weights.items()}


def _sum(parts: Sequence[Weights]) -> Weights:
    total: Weights = {}
    for part in parts:
        for arm, weight in part.items():
            total[arm] = total.get(arm, 0.0) + weight
    return total


def _less(first: Weights, second: Weights) -> Weights:
    return _sum([first, _times(second, -1.0)])
