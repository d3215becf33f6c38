"""What a verdict means, in sentences that anyone can read."""

from __future__ import annotations

import math
from collections.abc import Sequence

from doubleread.analysis import ClaimResult, Look, OneRunEach
from doubleread.metrics import curve_metric, direction
from doubleread.report import words
from doubleread.stats import ALPHA, FEWEST_SEEDS, Estimate, Looks, Verdict


def amount(metric: str, value: float) -> str:
    """Return a difference of a metric with its unit, without its sign: points of a percentage, seconds, epochs."""
    size = abs(value)
    if metric in words.PERCENT:
        return f"{100 * size:.1f} points"
    if metric == "seconds":
        return f"{size:.1f} s"
    if words.counts_epochs(metric):
        return f"{size:.1f} epochs"
    return f"{size:.4f}" if "loss" in metric else f"{size:.3f}"


def signed(metric: str, value: float) -> str:
    """Return a difference with sign and unit; what rounds to 0 has no sign."""
    text = amount(metric, value)
    if not text.partition(" ")[0].strip("0."):
        return text
    return ("−" if value < 0 else "+") + text


def sentence(result: ClaimResult) -> str:
    """Return the verdict in words: what new runs on new images should show, or what is still open."""
    claim, estimate = result.claim, result.estimate
    if result.decision.qualifier in ("one run each", "too few seeds"):
        return f"{_too_few(len(result.seeds))}: it takes {FEWEST_SEEDS}."
    if not result.seeds:
        return f"There is nothing to judge it by: no seed has {what(claim.metric)} of all its arms."
    if result.decision.qualifier == "not measured" and len(result.seeds) < FEWEST_SEEDS:
        return f"With {result.rival} {_too_few(len(result.seeds))}: it takes {FEWEST_SEEDS}."
    if math.isnan(estimate.lo):
        why = "its arms were scored on different ones, or on too few subjects"
        unknown = f"how much {what(claim.metric)} varies with the images is unknown"
        return f"There is nothing to judge it by: {unknown}, for {why}."
    if result.decision.qualifier == "no variation":
        return f"Every seed shows the same {_same(result)}, so that its uncertainty cannot be told."
    if result.decision.qualifier == "too few test images":
        return (
            f"In no seed is any of {result.cases} {_scored(claim.metric)} called otherwise; so few do not rule out"
            f" {amount(claim.metric, claim.margin)}."
        )
    if claim.kind == "equal":
        main = _equal(result)
    elif result.verdict in (Verdict.SUPPORTED, Verdict.CONTRADICTED):
        main = _decided(result)
    else:
        main = _open(result)
    return f"{main} {_order(result)}".strip()


def _too_few(seeds: int) -> str:
    return f"{seeds} {'seed is' if seeds == 1 else 'seeds are'} too few for a verdict"


def _same(result: ClaimResult) -> str:
    claim, value = result.claim, result.estimate.value
    if claim.kind == "one arm":
        return f"value, {words.value_text(claim.metric, value + claim.offset)}"
    if claim.kind == "equal":
        return f"difference, {signed(claim.metric, value)} ({claim.first} less {claim.second})"
    rival = f" to {result.rival}" if result.rival else ""
    way = " in the claimed direction" if value else ""
    return f"difference{rival}, {signed(claim.metric, claim.sign * value)}{way}"


def notes(result: ClaimResult) -> list[str]:
    """Return what else a reader of the verdict must know: seeds left out, collapsed runs, what would decide it."""
    said = [] if result.look is None else [_look(result, result.look)]
    if result.verdict is Verdict.UNDECIDED and result.decision.qualifier is None and _alone(result):
        shown = "shown" if result.claim.sign * result.estimate.value > 0 else "contradicted"
        said.append(
            f"Alone it would be {shown} (p {words.p_text(result.decision.p)}); among {result.family} claims it is not."
        )
    if result.verdict is Verdict.UNDECIDED and not math.isnan(result.mdd) and result.decision.qualifier is None:
        said.append(_what_it_takes(result))
    if result.single is not None:
        said.append(_one_run_each(result.single, result.cases))
    if result.left_out:
        left = ", ".join(str(seed) for seed in result.left_out)
        said.append(f"Left out, for not every arm has a value: seed{'s' if len(result.left_out) > 1 else ''} {left}.")
    if result.collapsed:
        said.append(_collapsed(result))
    if result.diverged:
        counts = ", ".join(f"{n} of {arm}" for arm, n in result.diverged.items())
        p = "" if math.isnan(result.diverge_p) else f"; Fisher's p of equal rates {words.p_text(result.diverge_p)}"
        said.append(f"Diverged runs, which have no score: {counts}{p}.")
    if result.carried_by:
        which, it = ("One seed carries", "it") if result.carried_by == 1 else ("Two seeds carry", "them")
        less = "the difference is less than half as large or turns round, and the others agree"
        said.append(f"{which} this: without {it}, {less}.")
    if result.agreed and result.claim.kind in ("two arms", "equal"):
        images = _scored(result.claim.metric)
        said.append(f"Both sides call all {images} alike in every seed: does what was varied do anything?")
    if not math.isnan(result.monotone):
        each = "holds in every step" if result.monotone < 0.05 else "is not shown for every step"
        said.append(f"The order {each} from level to level (p {words.p_text(result.monotone)}).")
    return said


def _look(result: ClaimResult, look: Look) -> str:
    corrected = "its p and its interval are corrected for looking"
    at = f"look {look.number} of {look.of}, with {look.seeds} seeds an arm"
    if result.verdict is not Verdict.UNDECIDED:
        return f"Decided at {at}; {corrected}."
    if look.number == look.of:
        return f"Open after the last look, with {look.seeds} seeds an arm; {corrected}."
    if not look.helps:
        return f"Open at {at}, where it stopped: only more test images would help; {corrected}."
    return f"Open at {at}; {corrected}."


def look_text(results: Sequence[ClaimResult], number: int, looks: Looks, arms: int) -> str:
    """Return what a look at a growing study has shown, and what comes next, for so many `arms`."""
    verdicts = [result.verdict for result in results]
    counts = ", ".join(f"{n} {verdict.value}" for verdict in Verdict if (n := verdicts.count(verdict)))
    said = f"look {number} of {len(looks.seeds)}, {looks.seeds[number - 1]} seeds: {counts}"
    if not arms:
        return (
            f"{said}; more seeds would not help, so it stops" if Verdict.UNDECIDED in verdicts else f"{said}; it stops"
        )
    if number == len(looks.seeds):
        return f"{said}; these are all the seeds it may have"
    go_on = "1 arm goes" if arms == 1 else f"{arms} arms go"
    return f"{said}; {go_on} on to {looks.seeds[number]} seeds"


def what(metric: str) -> str:
    """Return how a metric is called in a sentence."""
    return "training time" if metric == "seconds" else words.LABELS[metric]


def _scored(metric: str) -> str:
    """Return which images a metric is of, where there are some."""
    return "validation images" if metric.startswith("val_") else "test images"


def _images(metric: str) -> str:
    """Return what would be new: images only where the metric is of images."""
    training = metric in ("train_loss", "train_accuracy", "val_loss", "lowest_train_loss")
    if metric == "seconds":
        return "runs on this machine"
    if training or curve_metric(metric) is not None:
        return "runs"
    return "runs on new images from this source"


def _range(metric: str, lo: float, hi: float) -> str:
    return f"{amount(metric, lo).partition(' ')[0]} to {amount(metric, hi)}"


def _decided(result: ClaimResult) -> str:
    claim, e = result.claim, result.estimate
    metric, ahead = claim.metric, e.value > 0
    by, called = _by(e, metric), what(metric)
    turn = "" if result.verdict is Verdict.SUPPORTED else "The other way round: "
    over = f"over new {_images(metric)}"
    if claim.kind == "one arm":
        where = f"{'above' if ahead else 'below'} {words.value_text(metric, claim.offset)}"
        return _start(turn, f"{called} with {claim.first} should average {_between(result)} {over}: {where}.")
    first, second = claim.first, result.rival or claim.second
    if claim.kind == "trend":
        moves = "rises" if ahead else "falls"
        return _start(
            turn, f"{called} {moves} by {by} from {second} to {first}, along the fitted line, on average {over}."
        )
    if claim.kind == "interaction":
        more = "higher" if ahead else "lower"
        return _start(turn, f"in {called} the difference {first} is {more} than {second}, by {by} on average {over}.")
    pair = f"a new pair of {_images(metric)}"
    if words.counts_epochs(metric):
        sooner = "earlier" if not ahead else "later"
        return _start(turn, f"{called} should come {by} {sooner} with {first} than with {second}, on average {over}.")
    if direction(metric):
        winner, loser = (first, second) if ahead == (direction(metric) > 0) else (second, first)
        return _start(turn, f"{pair} should favour {winner} over {loser} by {by} of {called} on average.")
    more = "higher" if ahead else "lower"
    return _start(turn, f"{called} should be {more} with {first} than with {second}, by {by} on average {over}.")


def _by(e: Estimate, metric: str) -> str:
    near, far = sorted((abs(e.lo), abs(e.hi)))
    return _range(metric, near, far)


def _open(result: ClaimResult) -> str:
    claim = result.claim
    metric, span_ = claim.metric, _claimed(result, result.estimate)
    margin, why = amount(metric, claim.margin), _why_open(result)
    if claim.kind == "one arm":
        limit, average = words.value_text(metric, claim.offset), f"{what(metric)} with {claim.first} may average"
        if result.verdict is Verdict.NOT_SUPPORTED:
            side = "above" if claim.sign > 0 else "below"
            return f"It is not {side} {limit} by {margin} or more: {average} {_between(result)}."
        return f"{why}; {average} {_between(result)}, compared with {limit}."
    rival = f" to {result.rival}" if result.rival else ""
    if result.verdict is not Verdict.NOT_SUPPORTED:
        return f"{why}; the difference{rival} in {what(metric)} may be {span_}."
    if result.decision.qualifier == "no practical difference":
        return f"If there is a difference{rival} at all, it is below {margin}, either way ({span_}).{_past(result)}"
    span_ = span_.removesuffix(" in the claimed direction")
    ruled_out = f"a difference{rival} of {margin} or more in the claimed direction is ruled out"
    if max(claim.sign * result.estimate.lo, claim.sign * result.estimate.hi) < 0:
        return f"It points the other way, and {ruled_out} ({span_})."
    return f"{_start('', ruled_out)} ({span_}).{_past(result)}"


def _past(result: ClaimResult) -> str:
    """Return why an interval reaches past a margin that is ruled out, where it does: the test is of one side."""
    claim, e = result.claim, result.estimate
    gains = (claim.sign * e.lo, claim.sign * e.hi)
    both = claim.kind == "equal" or result.decision.qualifier == "no practical difference"
    if max(gains) < claim.margin and (not both or min(gains) > -claim.margin):
        return ""
    return " The interval, which leaves 2.5 % on either side, reaches past that; the test leaves 5 % on one."


def _why_open(result: ClaimResult) -> str:
    if result.decision.qualifier != "collapse":
        return "The runs leave it open"
    every = [arm for arm, n in result.collapsed.items() if n == result.finished.get(arm)]
    if every:
        return f"Every run of {' and '.join(every)} collapsed, so that it cannot be judged without them"
    if result.seeds_without < FEWEST_SEEDS:
        n = result.seeds_without
        left = f"{n} seed{' is' if n == 1 else 's are'} left, too few for a verdict"
        return f"It hangs on runs that collapsed: without them {left}"
    return "It hangs on runs that collapsed: without them the verdict is another one"


def _alone(result: ClaimResult) -> bool:
    """Tell whether a claim that is open would not be, were it the only one; its interval knows of the looks."""
    decided = result.decision.p < ALPHA and not result.estimate.lo <= 0 <= result.estimate.hi
    return result.claim.kind != "equal" and result.family > 1 and decided


def _claimed(result: ClaimResult, e: Estimate) -> str:
    """Return an interval in the claimed direction."""
    claim, sign = result.claim, result.claim.sign
    if claim.kind == "equal":
        return f"{claim.first} less {claim.second}: {span(claim.metric, e.lo, e.hi)}"
    lo, hi = sorted((sign * e.lo, sign * e.hi))
    return f"{span(claim.metric, lo, hi)} in the claimed direction"


def _equal(result: ClaimResult) -> str:
    claim = result.claim
    metric, between = claim.metric, _claimed(result, result.estimate)
    margin = amount(metric, claim.margin)
    if result.verdict is Verdict.SUPPORTED:
        return f"In {what(metric)} they differ by less than {margin} ({between}).{_past(result)}"
    if result.verdict is Verdict.CONTRADICTED:
        return f"In {what(metric)} they differ by more than {margin} ({between})."
    return f"{_why_open(result)}; whether they differ by less than {margin} in {what(metric)} is not shown ({between})."


def _between(result: ClaimResult) -> str:
    """Return the interval of one arm's own average."""
    offset = result.claim.offset
    return words.range_text(result.claim.metric, result.estimate.lo + offset, result.estimate.hi + offset)


def span(metric: str, lo: float, hi: float) -> str:
    """Return `−1.5 to +1.2 points`."""
    low, high = signed(metric, lo), signed(metric, hi)
    return f"{low.partition(' ')[0]} to {high}"


def _order(result: ClaimResult) -> str:
    if math.isnan(result.order_shown):
        return ""
    order = f"{result.claim.first} and {result.rival} in the claimed order" if result.rival else "the claimed order"
    return f"One run each would have shown {order} in {100 * result.order_shown:.0f} % of the seed pairs."


def _what_it_takes(result: ClaimResult) -> str:
    metric, margin = result.claim.metric, amount(result.claim.metric, result.claim.margin)
    images = _scored(result.claim.metric)
    most = "the seeds'" if result.estimate.seed_var > result.estimate.case_var else f"the {images}'"
    text = f"80 % of such studies find a difference of {amount(metric, result.mdd)}; most of the uncertainty is {most}."
    seeds, cases = result.seeds_needed, result.cases_needed
    more_seeds = seeds is not None and seeds > len(result.seeds)
    more_cases = cases is not None and cases > result.cases
    if seeds is None and cases is None and result.cases:
        return f"{text} To detect {margin} takes more {images} and more seeds too."
    if seeds is None and more_cases:
        return f"{text} To detect {margin} takes more {images}, not more seeds: about {cases:,}."
    if more_seeds:
        instead = f", or about {cases:,} {images}" if more_cases else ""
        return f"{text} To detect {margin} takes about {seeds:,} seeds{instead}."
    return f"{text} This study would probably have found {margin}; what there is may be smaller."


def _one_run_each(single: OneRunEach, cases: int) -> str:
    shown = [
        f"{100 * value:.2f} % ({100 * lo:.2f} to {100 * hi:.2f} %)"
        for value, (lo, hi) in zip(single.accuracies, (single.first, single.second), strict=True)
    ]
    text = f"One run each, counting the test images only: {shown[0]} and {shown[1]} (Wilson)"
    limit = "with this difference it can never be below .05"
    if single.largest and single.largest >= cases:
        limit = "with this difference it is below .05 on so many images, however they differ"
    elif single.largest:
        limit = f"with this difference it would be below .05 up to {single.largest} such images"
    p = words.p_text(single.mcnemar_p)
    return (
        f"{text}. Judged differently: {single.discordant} of the images, McNemar's exact p {p}; {limit}."
        " Another seed may move further than that."
    )


def _collapsed(result: ClaimResult) -> str:
    counts = ", ".join(f"{n} of the {result.finished[arm]} of {arm}" for arm, n in result.collapsed.items())
    text = f"Collapsed runs (constant predictors), kept in the estimate: {counts}"
    if not math.isnan(result.collapse_p):
        text += f"; Fisher's p of equal rates {words.p_text(result.collapse_p)}"
    if result.without is not None and not math.isnan(result.without.lo):
        claim, w = result.claim, result.without
        if claim.kind == "one arm":
            between = words.range_text(claim.metric, w.lo + claim.offset, w.hi + claim.offset)
            text += f". Without them it may average {between}"
        else:
            text += f". Without them: {_claimed(result, w)}"
    return f"{text}."


def _start(turn: str, text: str) -> str:
    return f"{turn}{text}" if turn else text[:1].upper() + text[1:]
