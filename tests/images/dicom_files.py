"""DICOM files for tests: small images with whatever header a test wants."""

from pathlib import Path

import numpy as np

try:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
except ModuleNotFoundError:
    FileDataset = None


def write_dicom(path: Path, pixels: np.ndarray, **header) -> Path:
    """Write pixels, (height, width[, 3]) of 8 or 16 bits, as an uncompressed DICOM file; `header` sets its tags."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    bits = 8 * pixels.dtype.itemsize
    found.SOPClassUID, found.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    found.StudyInstanceUID, found.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    found.Rows, found.Columns = pixels.shape[:2]
    found.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    found.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        found.PlanarConfiguration = 0
    found.BitsAllocated, found.BitsStored, found.HighBit = bits, bits, bits - 1
    found.PixelRepresentation = int(pixels.dtype.kind == "i")
    for tag, value in header.items():
        setattr(found, tag, value)
    found.PixelData = pixels.tobytes() + (b"\0" if pixels.nbytes % 2 else b"")
    found.save_as(path, enforce_file_format=True)
    return path
