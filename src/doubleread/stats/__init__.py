"""Statistics of the comparison: pure functions of arrays, no torch, no store."""

from doubleread.stats.bootstrap import draw_subjects, two_way_interval
from doubleread.stats.calibration import (
    Calibration,
    Reliability,
    calibration,
    calibration_covariance,
    estimated_prevalence,
    platt,
    reliability,
    temperature,
)
from doubleread.stats.case_covariance import CASE_COVARIANCES, called_positive_covariance, difference_covariance
from doubleread.stats.contrast import Estimate, combined, contrast, estimate, prediction_interval, widened
from doubleread.stats.ensemble import ensemble, ensemble_logits
from doubleread.stats.gap import PARTS, Gap, GapDraws, GapVerdict, gap_draws, gap_of
from doubleread.stats.looks import Looks, look_seeds
from doubleread.stats.multiclass import MULTICLASS, covariance_of
from doubleread.stats.operating import RATES, OperatingPoint, Rule, operating_point
from doubleread.stats.order import carried_by, monotone_p, order_shown, rates_differ, trend_weights
from doubleread.stats.power import cases_needed, detectable, seeds_could_decide, seeds_needed
from doubleread.stats.proportions import (
    counts_printed_as,
    expected_discordant,
    largest_discordant,
    mcnemar_exact,
    most_discordant,
    newcombe,
    pooled_p,
    unpaired_p,
    wilson,
)
from doubleread.stats.redraw import BothSplits, Scored
from doubleread.stats.roc import GRID, Curves, curves_of
from doubleread.stats.shift import Domain, LabelShift, domain_classifier, label_shift, outputs_differ, subject_means
from doubleread.stats.thresholds import least_cost, sensitivity_at_least, specificity_at_least, youden
from doubleread.stats.verdict import ALPHA, FEWEST_SEEDS, Decision, Question, Verdict, decide, deciding, holm

__all__ = [
    "ALPHA",
    "CASE_COVARIANCES",
    "FEWEST_SEEDS",
    "GRID",
    "MULTICLASS",
    "PARTS",
    "RATES",
    "BothSplits",
    "Calibration",
    "Curves",
    "Decision",
    "Domain",
    "Estimate",
    "Gap",
    "GapDraws",
    "GapVerdict",
    "LabelShift",
    "Looks",
    "OperatingPoint",
    "Question",
    "Reliability",
    "Rule",
    "Scored",
    "Verdict",
    "calibration",
    "calibration_covariance",
    "called_positive_covariance",
    "carried_by",
    "cases_needed",
    "combined",
    "contrast",
    "counts_printed_as",
    "covariance_of",
    "curves_of",
    "decide",
    "deciding",
    "detectable",
    "difference_covariance",
    "domain_classifier",
    "draw_subjects",
    "ensemble",
    "ensemble_logits",
    "estimate",
    "estimated_prevalence",
    "expected_discordant",
    "gap_draws",
    "gap_of",
    "holm",
    "label_shift",
    "largest_discordant",
    "least_cost",
    "look_seeds",
    "mcnemar_exact",
    "monotone_p",
    "most_discordant",
    "newcombe",
    "operating_point",
    "order_shown",
    "outputs_differ",
    "platt",
    "pooled_p",
    "prediction_interval",
    "rates_differ",
    "reliability",
    "seeds_could_decide",
    "seeds_needed",
    "sensitivity_at_least",
    "specificity_at_least",
    "subject_means",
    "temperature",
    "trend_weights",
    "two_way_interval",
    "unpaired_p",
    "widened",
    "wilson",
    "youden",
]
