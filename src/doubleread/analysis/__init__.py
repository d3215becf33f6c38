"""From a store to numbers: results of a study, and the verdicts on its claims."""

from doubleread.analysis.claims import ClaimResult, judge_claims
from doubleread.analysis.evidence import CaseSet, Evidence, RunScores, Unpaired, case_covariance
from doubleread.analysis.results import ArmResult, RunResult, Spread, StudyResult, analyse, best_runs, spread_of

__all__ = [
    "ArmResult",
    "CaseSet",
    "ClaimResult",
    "Evidence",
    "RunResult",
    "RunScores",
    "Spread",
    "StudyResult",
    "Unpaired",
    "analyse",
    "best_runs",
    "case_covariance",
    "judge_claims",
    "spread_of",
]
