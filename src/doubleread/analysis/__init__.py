"""From a store to numbers: results of a study, and the verdicts on its claims."""

from doubleread.analysis.claims import ClaimResult, OneRunEach, judge_claims, with_bootstrap
from doubleread.analysis.evidence import CaseSet, Evidence, RunScores, Unpaired, case_covariance
from doubleread.analysis.logits_file import read_logits_file
from doubleread.analysis.planned import Planned, planned
from doubleread.analysis.registered import Registration
from doubleread.analysis.results import (
    ArmResult,
    RunResult,
    Spread,
    StudyResult,
    analyse,
    best_runs,
    spread_of,
    stored_evidence,
)
from doubleread.analysis.settings import Setting, settings_of

__all__ = [
    "ArmResult",
    "CaseSet",
    "ClaimResult",
    "Evidence",
    "OneRunEach",
    "Planned",
    "Registration",
    "RunResult",
    "RunScores",
    "Setting",
    "Spread",
    "StudyResult",
    "Unpaired",
    "analyse",
    "best_runs",
    "case_covariance",
    "judge_claims",
    "planned",
    "read_logits_file",
    "settings_of",
    "spread_of",
    "stored_evidence",
    "with_bootstrap",
]
