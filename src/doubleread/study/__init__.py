"""The study file: schema, parsing, expansion into runs, identities; the two reports as files."""

from doubleread.study.claim_spec import ClaimSpec
from doubleread.study.claims import Claim, resolve_claims
from doubleread.study.claims_file import load_claims
from doubleread.study.engine_spec import ENGINES, EngineChoice, engine_of, engine_planned
from doubleread.study.levels import Arm, label_of
from doubleread.study.load import load_study
from doubleread.study.parse import (
    BUILT_IN,
    REPORTS,
    Experiment,
    Study,
    built_in_raw,
    document_of,
    parse_overrides,
    parse_study,
    study_of,
)
from doubleread.study.plan import Plan, PlannedRun, data_key, limited, plan_runs
from doubleread.study.schema import NUMBER, Assumption, Contradiction, Prior, Reported
from doubleread.study.threshold_spec import ThresholdSpec, default_thresholds
from doubleread.study.variants import TWIN, Variant, grouped_name, leakage_variant, variants_of

__all__ = [
    "BUILT_IN",
    "ENGINES",
    "NUMBER",
    "REPORTS",
    "TWIN",
    "Arm",
    "Assumption",
    "Claim",
    "ClaimSpec",
    "Contradiction",
    "EngineChoice",
    "Experiment",
    "Plan",
    "PlannedRun",
    "Prior",
    "Reported",
    "Study",
    "ThresholdSpec",
    "Variant",
    "built_in_raw",
    "data_key",
    "default_thresholds",
    "document_of",
    "engine_of",
    "engine_planned",
    "grouped_name",
    "label_of",
    "leakage_variant",
    "limited",
    "load_claims",
    "load_study",
    "parse_overrides",
    "parse_study",
    "plan_runs",
    "resolve_claims",
    "study_of",
    "variants_of",
]
