"""From a store to numbers: results of a study, and the verdicts on its claims."""

from doubleread.analysis.audited import Audited, audited
from doubleread.analysis.claims import ClaimResult, Look, OneRunEach, judge_claims, with_bootstrap
from doubleread.analysis.compared import ComparedArm, compare_arms
from doubleread.analysis.evidence import CaseSet, Evidence, RunScores, Unpaired, case_covariance
from doubleread.analysis.gap import ArmGap, Gaps, Rescaled, SplitFigures, gaps_of
from doubleread.analysis.logits_file import read_logits_file
from doubleread.analysis.looking import arms_that_go_on, judge_at_looks
from doubleread.analysis.planned import Planned, planned
from doubleread.analysis.registered import Registration
from doubleread.analysis.results import (
    ArmResult,
    Spread,
    StudyResult,
    analyse,
    best_runs,
    spread_of,
    stored_evidence,
)
from doubleread.analysis.runs import RunResult
from doubleread.analysis.settings import Setting, settings_of
from doubleread.analysis.worst import ConfidentCase, WorstCase, class_confusion, confident_cases, worst_cases

__all__ = [
    "ArmGap",
    "ArmResult",
    "Audited",
    "CaseSet",
    "ClaimResult",
    "ComparedArm",
    "ConfidentCase",
    "Evidence",
    "Gaps",
    "Look",
    "OneRunEach",
    "Planned",
    "Registration",
    "Rescaled",
    "RunResult",
    "RunScores",
    "Setting",
    "SplitFigures",
    "Spread",
    "StudyResult",
    "Unpaired",
    "WorstCase",
    "analyse",
    "arms_that_go_on",
    "audited",
    "best_runs",
    "case_covariance",
    "class_confusion",
    "compare_arms",
    "confident_cases",
    "gaps_of",
    "judge_at_looks",
    "judge_claims",
    "planned",
    "read_logits_file",
    "settings_of",
    "spread_of",
    "stored_evidence",
    "with_bootstrap",
    "worst_cases",
]
