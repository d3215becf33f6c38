"""Statistics of the comparison: pure functions of arrays, no torch, no store."""

from doubleread.stats.bootstrap import draw_subjects, two_way_interval
from doubleread.stats.calibration import Calibration, calibration, estimated_prevalence
from doubleread.stats.case_covariance import CASE_COVARIANCES, difference_covariance
from doubleread.stats.contrast import Estimate, combined, contrast, estimate, prediction_interval
from doubleread.stats.multiclass import MULTICLASS
from doubleread.stats.order import carried_by, monotone_p, order_shown, rates_differ, trend_weights
from doubleread.stats.power import cases_needed, detectable, seeds_needed
from doubleread.stats.proportions import (
    expected_discordant,
    largest_discordant,
    mcnemar_exact,
    most_discordant,
    unpaired_p,
    wilson,
)
from doubleread.stats.verdict import ALPHA, FEWEST_SEEDS, Decision, Question, Verdict, decide, deciding, holm

__all__ = [
    "ALPHA",
    "CASE_COVARIANCES",
    "FEWEST_SEEDS",
    "MULTICLASS",
    "Calibration",
    "Decision",
    "Estimate",
    "Question",
    "Verdict",
    "calibration",
    "carried_by",
    "cases_needed",
    "combined",
    "contrast",
    "decide",
    "deciding",
    "detectable",
    "difference_covariance",
    "draw_subjects",
    "estimate",
    "estimated_prevalence",
    "expected_discordant",
    "holm",
    "largest_discordant",
    "mcnemar_exact",
    "monotone_p",
    "most_discordant",
    "order_shown",
    "prediction_interval",
    "rates_differ",
    "seeds_needed",
    "trend_weights",
    "two_way_interval",
    "unpaired_p",
    "wilson",
]
