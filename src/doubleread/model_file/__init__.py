"""Trained runs put to use: saved, read back, new images read by every seed, and what in an image moved them."""

from doubleread.model_file.case_maps import CaseMap, maps_of_worst
from doubleread.model_file.document import Document
from doubleread.model_file.exporting import Exported, export_model
from doubleread.model_file.frame import predict
from doubleread.model_file.inputs import image_files, unreadable
from doubleread.model_file.likeness import Unlike
from doubleread.model_file.members import open_reader
from doubleread.model_file.onnx_file import write_onnx
from doubleread.model_file.package import check_suffix, load_model, write_model
from doubleread.model_file.predictor import Predictions, Predictor
from doubleread.model_file.reading import Answer, columns_of, read_images
from doubleread.model_file.saliency import (
    METHODS,
    Saliency,
    can_explain,
    check_method,
    saliency_of,
)

__all__ = [
    "METHODS",
    "Answer",
    "CaseMap",
    "Document",
    "Exported",
    "Predictions",
    "Predictor",
    "Saliency",
    "Unlike",
    "can_explain",
    "check_method",
    "check_suffix",
    "columns_of",
    "export_model",
    "image_files",
    "load_model",
    "maps_of_worst",
    "open_reader",
    "predict",
    "read_images",
    "saliency_of",
    "unreadable",
    "write_model",
    "write_onnx",
]
