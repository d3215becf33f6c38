"""What is wrong with the data: images, copies, subjects, balance, differences, labels."""

from doubleread.dataset.audit.differences import Difference, differences_of
from doubleread.dataset.audit.findings import Example, Finding, findings_of
from doubleread.dataset.audit.labels import label_issues
from doubleread.dataset.audit.measured import Measured, measured_of
from doubleread.dataset.audit.pixels import FEATURES
from doubleread.dataset.audit.rates import Rates, classes_in_excess, issue_rates
from doubleread.dataset.audit.summary import Summary, summary_of

__all__ = [
    "FEATURES",
    "Difference",
    "Example",
    "Finding",
    "Measured",
    "Rates",
    "Summary",
    "classes_in_excess",
    "differences_of",
    "findings_of",
    "issue_rates",
    "label_issues",
    "measured_of",
    "summary_of",
]
