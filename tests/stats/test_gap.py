"""The gap in parts: they add up, each answers to its cause, the interval is of the Obuchowski–Rockette form."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubleread.stats import PARTS, BothSplits, GapDraws, Scored, gap_draws, gap_of

SUBJECTS = {"val": "v", "test": "t", "grouped": "g"}


def scored(rng, n, *, positive=0.5, signal=1.2, shift=0.0, name="val", per_subject=1):
    labels = (np.arange(n) < round(positive * n)).astype(np.int64)
    logits = (2 * labels - 1) * signal + shift + rng.normal(size=n)
    subjects = np.array([f"{SUBJECTS[name]}{label}-{i // per_subject}" for i, label in enumerate(labels)])
    return Scored(logits_N=logits, labels_N=labels, subjects_N=subjects)


def study(rng, seeds, val=None, test=None, grouped=None, n=300):
    sets = {"val": scored(rng, n, name="val", **(val or {})), "test": scored(rng, n, name="test", **(test or {}))}
    if grouped is not None:
        sets["grouped"] = scored(rng, n, name="grouped", **grouped)
    # the cases stay, each seed adds noise of its own
    return [
        BothSplits(
            **{
                name: Scored(
                    logits_N=part.logits_N + 0.3 * rng.normal(size=n),
                    labels_N=part.labels_N,
                    subjects_N=part.subjects_N,
                )
                for name, part in sets.items()
            }
        )
        for _ in range(seeds)
    ]


def gap(runs, rng, draws=200):
    return gap_of(gap_draws([runs], rng, draws))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    positive=st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.9]), st.sampled_from([0.1, 0.4, 0.5, 0.9])),
    shift=st.integers(-30, 30).map(lambda tenths: tenths / 10),
    leaks=st.booleans(),
)
def test_the_parts_add_up_to_validation_minus_test(seed, positive, shift, leaks):
    rng = np.random.default_rng(seed)
    runs = study(
        rng, 3, {"positive": positive[0]}, {"positive": positive[1], "shift": shift}, {} if leaks else None, n=40
    )
    found = gap(runs, rng, draws=5)
    parts = found.parts()
    assert list(parts) == [name for name in PARTS if name != "leakage" or leaks]
    assert sum(part.value for part in parts.values()) == pytest.approx(found.gap.value, abs=1e-12)
    val, test = (
        np.mean([np.mean((part.logits_N > 0) == part.labels_N) for part in parts])
        for parts in ([run.val for run in runs], [run.test for run in runs])
    )
    assert found.val.value == pytest.approx(val, abs=1e-12)
    assert found.test.value == pytest.approx(test, abs=1e-12)
    assert found.gap.value == pytest.approx(val - test, abs=1e-12)


@pytest.mark.parametrize(
    ("val", "test", "grouped", "part"),
    [
        ({}, {"shift": 2.0}, None, "threshold"),
        ({}, {"signal": 0.4}, None, "ranking"),
        ({"positive": 0.8, "shift": 1.2}, {"positive": 0.2, "shift": 1.2}, None, "prevalence"),
        ({"signal": 2.5}, {"signal": 0.8}, {"signal": 0.8}, "leakage"),
    ],
)
def test_one_cause_is_named(rng, val, test, grouped, part):
    found = gap(study(rng, 8, val, test, grouped), rng)
    assert (found.verdict.kind, found.verdict.parts[0]) == ("mostly", part)
    others = [name for name in found.parts() if name != part]
    assert all(getattr(found, name).lo < 0.03 for name in others), "the other parts stay small"


def test_two_causes_are_both_named(rng):
    found = gap(study(rng, 8, {}, {"shift": 1.3, "signal": 0.5}, n=1000), rng)
    assert set(found.verdict.parts) == {"threshold", "ranking"}


def test_no_gap_and_a_reverse_one(rng):
    assert gap(study(rng, 8), rng).verdict.kind == "none"
    assert gap(study(rng, 8, {"signal": 0.4}, {}), rng).verdict == gap(study(rng, 8, {"signal": 0.4}, {}), rng).verdict
    reverse = gap(study(rng, 8, {"signal": 0.4}, {}), rng)
    assert (reverse.verdict.kind, reverse.verdict.parts) == ("reverse", ("ranking",))


def test_few_seeds_give_no_verdict_and_one_no_interval(rng):
    runs = study(rng, 5, {}, {"shift": 2.0})
    assert gap(runs, rng).verdict.kind == "undecided"
    one = gap(runs[:1], rng)
    assert math.isnan(one.gap.lo)
    assert one.gap.value > 0.1
    assert one.verdict.kind == "undecided"


def test_leakage_counts_as_ranking_where_it_is_not_measured(rng):
    runs = study(rng, 8, {"signal": 2.5}, {"signal": 0.8}, {"signal": 0.8})
    without = [BothSplits(val=run.val, test=run.test) for run in runs]
    found = gap(without, rng)
    assert found.leakage is None
    assert found.verdict.parts == ("ranking",)


def test_equal_arms_have_the_gap_of_one_and_a_reordering_of_cases_changes_nothing(rng):
    runs = study(rng, 6, {}, {"shift": 1.0})
    one, two = gap_draws([runs, runs], np.random.default_rng(1), 100)
    assert np.array_equal(one.redrawn_BKQ, two.redrawn_BKQ)
    alone, both = gap_of([one]), gap_of([one, two])
    assert both.threshold.value == alone.threshold.value
    assert both.threshold.lo == pytest.approx(alone.threshold.lo)
    order = rng.permutation(300)
    turned = [
        BothSplits(
            val=run.val,
            test=Scored(
                logits_N=run.test.logits_N[order],
                labels_N=run.test.labels_N[order],
                subjects_N=run.test.subjects_N[order],
            ),
        )
        for run in runs
    ]
    assert gap_of(gap_draws([turned], np.random.default_rng(1), 5)).threshold.value == pytest.approx(
        alone.threshold.value, abs=1e-12
    )


def test_the_interval_counts_seeds_and_cases(rng):
    runs = study(rng, 8, {}, {"shift": 1.0})
    found = gap(runs, rng, draws=1500).gap
    psi = np.array(
        [
            np.mean((run.val.logits_N > 0) == run.val.labels_N) - np.mean((run.test.logits_N > 0) == run.test.labels_N)
            for run in runs
        ]
    )
    assert found.seed_var == pytest.approx(psi.var(ddof=1) / 8)

    # the cases' part by the closed form of accuracies: sums of what is right, centred within the class
    def between(parts):
        right = np.array([(part.logits_N > 0) == part.labels_N for part in parts], dtype=float)
        labels = parts[0].labels_N
        for label in (0, 1):
            right[:, labels == label] -= right[:, labels == label].mean(axis=1, keepdims=True)
        covariance = right @ right.T / right.shape[1] ** 2
        return (covariance.sum() - np.trace(covariance)) / (8 * 7)

    wanted = between([run.val for run in runs]) + between([run.test for run in runs])
    assert found.case_var == pytest.approx(wanted, rel=0.15)


def test_several_images_of_a_subject_widen_the_interval(rng):
    alone = study(rng, 6, n=300)
    together = [
        BothSplits(
            val=Scored(
                logits_N=np.repeat(run.val.logits_N[::3], 3),
                labels_N=np.repeat(run.val.labels_N[::3], 3),
                subjects_N=np.repeat(run.val.subjects_N[::3], 3),
            ),
            test=run.test,
        )
        for run in alone
    ]
    assert gap(together, rng).gap.case_var > 1.3 * gap(alone, rng).gap.case_var


def test_seeds_beyond_the_redrawn_ones_count_in_the_mean(rng):
    runs = study(rng, 9, {}, {"shift": 1.0})
    (draws,) = gap_draws([runs], rng, 50, redrawn=4)
    assert draws.redrawn_BKQ.shape == (50, 4, 6)
    assert gap_of([draws]).gap.value == pytest.approx(gap(runs, rng, 5).gap.value)
    assert draws.at([0, 1, 7]).redrawn_BKQ.shape == (50, 2, 6)


def test_a_constant_predictor_has_a_gap_of_prevalence_alone(rng):
    labels = {"val": np.array([1] * 30 + [0] * 10), "test": np.array([1] * 10 + [0] * 30)}
    parts = {
        name: Scored(logits_N=np.full(40, 2.0), labels_N=y, subjects_N=np.array([f"{name}{i}" for i in range(40)]))
        for name, y in labels.items()
    }
    found = gap([BothSplits(val=parts["val"], test=parts["test"])] * 6, rng, 20)
    assert found.gap.value == pytest.approx(0.5)
    assert found.prevalence.value == pytest.approx(0.5)
    assert found.ranking.value == pytest.approx(0)


def made(leakage=0.0, prevalence=0.0, threshold=0.0, ranking=0.0, *, seeds=8, has_leakage=False, noise=0.002):
    """Return what an arm's gap is made of, with these parts; the subjects add nothing to its variance."""
    val = 0.9
    at_v = val - leakage
    at_t = at_v - prevalence
    best_v = at_t + 0.01
    best_t = best_v - ranking
    test = at_t - best_v + best_t - threshold
    row = np.array([val, at_v, at_t, best_v, test, best_t])
    measured = row + noise * np.random.default_rng(0).normal(size=(seeds, 6))
    redrawn = np.broadcast_to(row, (20, seeds, 6))
    return GapDraws(
        measured_RQ=measured, redrawn_BKQ=redrawn.copy(), places_K=np.arange(seeds), has_leakage=has_leakage
    )


@pytest.mark.parametrize(
    ("parts", "kind", "named"),
    [
        ({"ranking": 0.08, "threshold": 0.03}, "mostly", ("ranking", "threshold")),
        ({"threshold": 0.08, "ranking": 0.03}, "mostly", ("threshold", "ranking")),
        ({"ranking": 0.04, "threshold": 0.05, "prevalence": 0.03}, "mixed", ("threshold", "ranking", "prevalence")),
        ({"leakage": 0.1, "ranking": 0.02, "has_leakage": True}, "mostly", ("leakage", "ranking")),
        (
            {"leakage": 0.04, "ranking": 0.05, "threshold": 0.03, "has_leakage": True},
            "mixed",
            ("ranking", "leakage", "threshold"),
        ),
        ({"ranking": -0.02, "threshold": -0.05, "prevalence": 0.01}, "reverse", ("threshold", "ranking")),
        ({"threshold": 0.1, "ranking": -0.1}, "none", ()),
        ({}, "none", ()),
        ({"ranking": 0.08, "seeds": 6}, "mostly", ("ranking",)),
        ({"ranking": 0.08, "seeds": 5}, "undecided", ()),
    ],
)
def test_what_a_gap_is_called(parts, kind, named):
    found = gap_of([made(**parts)])
    assert (found.verdict.kind, found.verdict.parts) == (kind, named)


def test_parts_are_the_differences_that_their_names_say():
    parts = {"leakage": 0.01, "prevalence": 0.02, "threshold": 0.03, "ranking": 0.04}
    found = gap_of([made(**parts, has_leakage=True, noise=0.0)])
    assert {name: part.value for name, part in found.parts().items()} == pytest.approx(parts)
    assert (found.val.value, found.test.value, found.gap.value) == pytest.approx((0.9, 0.8, 0.1))
    assert gap_of([made(**parts, noise=0.0)]).leakage is None


def test_several_arms_are_their_mean_over_the_seeds_that_all_have_redrawn():
    one, two = made(ranking=0.02), made(ranking=0.06)
    assert gap_of([one, two]).ranking.value == pytest.approx(
        (gap_of([one]).ranking.value + gap_of([two]).ranking.value) / 2
    )
    rng = np.random.default_rng(1)
    noise = 0.01 * rng.normal(size=(20, 1, 6))
    wide, few = (
        GapDraws(
            measured_RQ=arm.measured_RQ, redrawn_BKQ=arm.redrawn_BKQ[:, places] + noise, places_K=np.array(places),
            has_leakage=False,
        )
        for arm, places in ((one, [0, 1, 2, 5]), (two, [5, 2, 7]))
    )  # fmt: skip
    expected = np.var((noise @ np.array([1.0, 0, 0, 0, -1, 0])).ravel(), ddof=1)
    assert gap_of([wide, few]).gap.case_var == pytest.approx(expected)
    both = gap_of([made(leakage=0.1, ranking=0.05, has_leakage=True), made(leakage=0.1, ranking=0.05)])
    assert both.leakage is None, "measured in every arm or not at all"
    assert both.verdict.parts == ("ranking",)


def test_the_draws_of_some_seeds_in_another_order():
    whole = made(seeds=4)
    whole.redrawn_BKQ[:] = np.arange(4)[None, :, None]
    some = GapDraws(
        measured_RQ=whole.measured_RQ, redrawn_BKQ=whole.redrawn_BKQ[:, [3, 1]], places_K=np.array([3, 1]),
        has_leakage=True,
    ).at([2, 3, 1])  # fmt: skip
    assert np.array_equal(some.measured_RQ, whole.measured_RQ[[2, 3, 1]])
    assert some.places_K.tolist() == [1, 2]
    assert some.has_leakage
    assert some.redrawn_at([2, 1])[0, :, 0].tolist() == [1, 3]


def test_only_the_first_seeds_are_redrawn_and_leakage_needs_every_run(rng):
    runs = study(rng, 3, {}, {}, {}, n=40)
    (draws,) = gap_draws([runs], rng, 4, redrawn=2)
    assert draws.has_leakage
    assert draws.places_K.tolist() == [0, 1]
    assert draws.measured_RQ.shape == (3, 6)
    assert draws.redrawn_BKQ.shape == (4, 2, 6)
    half = [runs[0], BothSplits(val=runs[1].val, test=runs[1].test)]
    (found,) = gap_draws([half], np.random.default_rng(1), 4)
    assert not found.has_leakage
    none = [BothSplits(val=run.val, test=run.test) for run in half]
    (plain,) = gap_draws([none], np.random.default_rng(1), 4)
    assert found.measured_RQ == pytest.approx(plain.measured_RQ, abs=0.1)
    assert np.array_equal(found.measured_RQ[:, [0, 1, 2, 4]], plain.measured_RQ[:, [0, 1, 2, 4]])


def test_equal_sets_have_no_gap_and_a_logit_of_0_is_negative(rng):
    part = scored(rng, 40)
    assert gap([BothSplits(val=part, test=part)] * 6, rng, 5).verdict.kind == "none"
    flat = Scored(logits_N=np.zeros(40), labels_N=np.repeat([1, 0], [30, 10]), subjects_N=part.subjects_N)
    assert gap([BothSplits(val=part, test=flat)] * 6, rng, 5).test.value == pytest.approx(0.25)
