"""Trained runs put to use: saved, read back, new images read by every seed, and what in an image moved them.

Every name is loaded when it is asked for: with torch, captum and ONNX the package takes longer than all the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from doubleread.late import names_of

if TYPE_CHECKING:
    from doubleread.model_file.case_maps import CaseMap, maps_of_worst
    from doubleread.model_file.document import Document
    from doubleread.model_file.exporting import Exported, export_model
    from doubleread.model_file.frame import predict
    from doubleread.model_file.inputs import image_files, unreadable
    from doubleread.model_file.likeness import Unlike
    from doubleread.model_file.members import open_reader
    from doubleread.model_file.methods import METHODS, can_explain
    from doubleread.model_file.onnx_file import write_onnx
    from doubleread.model_file.package import check_suffix, load_model, write_model
    from doubleread.model_file.predictor import Predictions, Predictor
    from doubleread.model_file.reading import Answer, columns_of, read_contents, read_images
    from doubleread.model_file.saliency import Saliency, check_method, saliency_of

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
    "read_contents",
    "read_images",
    "saliency_of",
    "unreadable",
    "write_model",
    "write_onnx",
]

_HOME = {
    "Answer": "doubleread.model_file.reading",
    "CaseMap": "doubleread.model_file.case_maps",
    "Document": "doubleread.model_file.document",
    "Exported": "doubleread.model_file.exporting",
    "METHODS": "doubleread.model_file.methods",
    "Predictions": "doubleread.model_file.predictor",
    "Predictor": "doubleread.model_file.predictor",
    "Saliency": "doubleread.model_file.saliency",
    "Unlike": "doubleread.model_file.likeness",
    "can_explain": "doubleread.model_file.methods",
    "check_method": "doubleread.model_file.saliency",
    "check_suffix": "doubleread.model_file.package",
    "columns_of": "doubleread.model_file.reading",
    "export_model": "doubleread.model_file.exporting",
    "image_files": "doubleread.model_file.inputs",
    "load_model": "doubleread.model_file.package",
    "maps_of_worst": "doubleread.model_file.case_maps",
    "open_reader": "doubleread.model_file.members",
    "predict": "doubleread.model_file.frame",
    "read_contents": "doubleread.model_file.reading",
    "read_images": "doubleread.model_file.reading",
    "saliency_of": "doubleread.model_file.saliency",
    "unreadable": "doubleread.model_file.inputs",
    "write_model": "doubleread.model_file.package",
    "write_onnx": "doubleread.model_file.onnx_file",
}
__getattr__ = names_of(__name__, _HOME)
