"""From the bytes of an image file to 8-bit pixels, grey or in colour, or a reason why not."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, UnidentifiedImageError

from doubleread.errors import UnreadableImage

FORMATS = ("JPEG", "PNG")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
MAX_FILE = 256 * 2**20
MAX_PIXELS = 89_478_485
"""Pillow's own limit, beyond which it warns of a decompression bomb."""
# set once and not around each image: the filters of warnings belong to the process, and images are read in threads
warnings.simplefilter("error", Image.DecompressionBombWarning)
EIGHT_BIT = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})


GREY = frozenset({"1", "L", "LA"})
"""Modes in which nothing but grey can be stored."""


def decode(content: bytes, *, colour: bool = False) -> np.ndarray:
    """Return the pixels of a JPEG or PNG, uint8: in `colour`, shape (height, width, 3), red, green, blue; else grey.

    Grey has shape (height, width), and of colours their luma (ITU-R 601-2).

    Raises:
        UnreadableImage: not such a file, damaged, more than 8 bits a channel, or more pixels than `MAX_PIXELS`.
    """
    if not content:
        raise UnreadableImage("an empty file")
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.mode not in EIGHT_BIT:
            raise UnreadableImage(f"{image.mode} pixels; expected 8 bits a channel, grey or colour")
        return np.asarray(_flat(image, "RGB" if colour else "L"))
    except UnidentifiedImageError as error:
        raise UnreadableImage("not a JPEG or PNG file") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UnreadableImage(f"too many pixels; expected at most {MAX_PIXELS:,}") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UnreadableImage(f"damaged ({_reason(error)})") from error


def stored_mode(content: bytes) -> str:
    """Return Pillow's name of the mode in which a JPEG or PNG is stored, from its header.

    Raises:
        UnreadableImage: it has none that can be read.
    """
    try:
        return Image.open(io.BytesIO(content), formats=FORMATS).mode
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombWarning) as error:
        raise UnreadableImage(f"damaged ({_reason(error)})") from error


def mode_of(images: np.ndarray) -> str:
    """Return the mode of the images in an array, (N, height, width) or (N, height, width, channels)."""
    return "RGB" if images.ndim == 4 and images.shape[3] == 3 else "L"


def check_pixels(pixels: np.ndarray, *, colour: bool = False) -> np.ndarray:
    """Return pixels of an array as uint8: grey, shape (height, width), or in `colour`, (height, width, 3).

    Allowed are uint8 arrays of shape (height, width), (height, width, 1) and (height, width, 3).

    Raises:
        UnreadableImage: another shape or depth.
    """
    if pixels.dtype != np.uint8:
        raise UnreadableImage(f"{pixels.dtype} pixels; expected uint8")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)) or 0 in pixels.shape:
        raise UnreadableImage(f"shape {pixels.shape}; expected (height, width) or (height, width, 3)")
    if colour:
        return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
    return pixels if pixels.ndim == 2 else grey_of(pixels)


def grey_of(pixels: np.ndarray) -> np.ndarray:
    """Return the luma of pixels in colour, (height, width, 3) uint8; grey ones as they are."""
    if pixels.ndim == 2:
        return pixels
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).convert("L"))


def resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """Return `pixels`, grey or in colour, both sides made `size`: bilinear, widened to antialias when shrinking."""
    if pixels.shape[:2] == (size, size):
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def _flat(image: Image.Image, mode: str) -> Image.Image:
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        # what is transparent shows black, as a viewer with a black background shows it
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba).convert(mode)
    return image.convert(mode)


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".").lower() if str(error) else type(error).__name__
