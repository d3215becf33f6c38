"""Trained runs put to use: new images read by every seed of an arm, and what in an image moved them."""

from doubleread.model_file.reader import ArmReader, Reading, open_reader
from doubleread.model_file.saliency import Saliency, can_explain, saliency_of

__all__ = ["ArmReader", "Reading", "Saliency", "can_explain", "open_reader", "saliency_of"]
