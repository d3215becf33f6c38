"""Small images inside a page."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from doubleread.images import to_depth

PIXELS = 112
QUALITY = 82


def thumbnail(pixels: np.ndarray, side: int = PIXELS) -> str:
    """Return pixels, (height, width) grey or (height, width, 3), uint8 or uint16, as the `data:` address of a JPEG of
    at most `side` pixels.
    """
    image = Image.fromarray(np.ascontiguousarray(to_depth(pixels, np.dtype(np.uint8))))
    if image.width > side:
        image = image.resize((side, side), Image.Resampling.BILINEAR)
    content = io.BytesIO()
    image.save(content, format="JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
