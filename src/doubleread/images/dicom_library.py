"""What reads DICOM, where it is installed: told to keep to itself what a header says."""

from __future__ import annotations

import logging
import warnings

try:
    import libjpeg.utils
    import openjpeg.utils
    import pydicom
    from pydicom import config, filereader
    from pydicom.encaps import get_frame
    from pydicom.pixels import processing
except ModuleNotFoundError:
    libjpeg = openjpeg = pydicom = config = filereader = get_frame = processing = None


if config is not None:
    # what it would say may hold a patient's name
    logging.getLogger("pydicom").addHandler(logging.NullHandler())
    logging.getLogger("pydicom").propagate = False
    warnings.filterwarnings("ignore", module="pydicom")
    config.settings.reading_validation_mode = config.IGNORE
