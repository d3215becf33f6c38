"""Statistics of the comparison: pure functions of arrays, no torch, no store."""

from doubleread.stats.case_covariance import CASE_COVARIANCES
from doubleread.stats.contrast import Estimate, contrast, prediction_interval

__all__ = ["CASE_COVARIANCES", "Estimate", "contrast", "prediction_interval"]
