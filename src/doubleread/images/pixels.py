"""From the bytes of a JPEG, PNG or TIFF to pixels of 8 or 16 bits, grey or in colour, or a reason why not."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, UnidentifiedImageError

from doubleread.errors import UnreadableImage
from doubleread.nouns import DEEP_STEPS

FORMATS = ("JPEG", "PNG", "TIFF")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
MAX_FILE = 256 * 2**20
MAX_PIXELS = 89_478_485
"""Pillow's own limit, beyond which it warns of a decompression bomb."""
# set once and not around each image: the filters of warnings belong to the process, and images are read in threads;
# what Pillow finds odd is in the reason, or changes no pixel
warnings.filterwarnings("ignore", module=r"PIL\.")
warnings.simplefilter("error", Image.DecompressionBombWarning)
EIGHT_BIT = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
SIXTEEN_BIT = frozenset({"I;16", "I;16L", "I;16B"})
GREY = frozenset({"1", "L", "LA", "I;16"})
"""Modes in which nothing but grey can be stored."""
DEEP = ";16"
"""Ends the modes of more than 8 bits."""
PHOTOMETRIC, BITS = 262, 258
"""Tags of a TIFF: what 0 shows, and the bits of each channel."""
WHITE_IS_ZERO = 0


def decode(content: bytes, *, colour: bool = False) -> np.ndarray:
    """Return the pixels of a JPEG, PNG or TIFF: in `colour`, shape (height, width, 3), red, green, blue; else grey.

    They are uint8, or of grey stored in 16 bits uint16. Grey has shape (height, width), and of colours their luma
    (ITU-R 601-2).

    Raises:
        UnreadableImage: not such a file, damaged, several pages, a depth that would be lost, or more pixels than
            `MAX_PIXELS`.
    """
    if not content:
        raise UnreadableImage("an empty file")
    try:
        image = _opened(content)
        if image.mode in SIXTEEN_BIT:
            return check_pixels(_deep(image), colour=colour)
        return np.asarray(_flat(image, "RGB" if colour else "L"))
    except UnidentifiedImageError as error:
        raise UnreadableImage("not a JPEG, PNG or TIFF file") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UnreadableImage(f"too many pixels; expected at most {MAX_PIXELS:,}") from error
    except DAMAGE as error:
        raise UnreadableImage(f"damaged ({_reason(error)})") from error


# Pillow's parsers of TIFF raise these, too, on tags that contradict each other
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, TypeError, KeyError, IndexError, OverflowError, MemoryError)


def stored_mode(content: bytes) -> str:
    """Return the mode in which a JPEG, PNG or TIFF is stored, from its header: Pillow's name of it, `I;16` for 16 bits.

    Raises:
        UnreadableImage: it has none that can be read.
    """
    try:
        mode = Image.open(io.BytesIO(content), formats=FORMATS).mode
        return "I;16" if mode in SIXTEEN_BIT else mode
    except (*DAMAGE, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UnreadableImage(f"damaged ({_reason(error)})") from error


def mode_of(images: np.ndarray) -> str:
    """Return the mode of the images in an array, (N, height, width) or (N, height, width, channels)."""
    colour = images.ndim == 4 and images.shape[3] == 3
    if images.dtype.itemsize == 2:
        return f"RGB{DEEP}" if colour else f"I{DEEP}"
    return "RGB" if colour else "L"


def is_deep(mode: str) -> bool:
    """Tell whether images of a mode have more than 8 bits."""
    return mode.endswith(DEEP)


def check_pixels(pixels: np.ndarray, *, colour: bool = False) -> np.ndarray:
    """Return pixels of an array: grey, shape (height, width), or in `colour`, (height, width, 3).

    Allowed are uint8 and uint16 arrays of shape (height, width), (height, width, 1) and (height, width, 3).

    Raises:
        UnreadableImage: another shape or type.
    """
    if pixels.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise UnreadableImage(f"{pixels.dtype} pixels; expected uint8 or uint16")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)) or 0 in pixels.shape:
        raise UnreadableImage(f"shape {pixels.shape}; expected (height, width) or (height, width, 3)")
    if not pixels.dtype.isnative:
        pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    if colour:
        return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
    return pixels if pixels.ndim == 2 else grey_of(pixels)


def grey_of(pixels: np.ndarray) -> np.ndarray:
    """Return the luma of pixels in colour, (height, width, 3), uint8 or uint16; grey ones as they are."""
    if pixels.ndim == 2:
        return pixels
    if pixels.dtype == np.uint16:
        return np.rint(pixels @ np.array([0.299, 0.587, 0.114])).astype(np.uint16)
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).convert("L"))


def resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """Return `pixels`, grey or in colour, both sides made `size`: bilinear, widened to antialias when shrinking."""
    if pixels.shape[:2] == (size, size):
        return pixels
    if pixels.dtype == np.uint16:
        return _resize_deep(pixels, size)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def to_depth(pixels: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return pixels of 8 or 16 bits as uint8 or uint16: black stays black and white white."""
    if pixels.dtype == dtype:
        return pixels
    if dtype == np.uint16:
        return pixels.astype(np.uint16) * np.uint16(DEEP_STEPS)
    return np.rint(pixels.astype(np.float32) / DEEP_STEPS).astype(np.uint8)


def _resize_deep(pixels: np.ndarray, size: int) -> np.ndarray:
    if pixels.ndim == 3:
        return np.stack([_resize_deep(pixels[:, :, channel], size) for channel in range(3)], axis=2)
    # float32 holds every whole number of 16 bits
    image = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    return np.rint(np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))).astype(np.uint16)


def _opened(content: bytes) -> Image.Image:
    """Return an image that is one page whose depth survives; its pixels are not decoded yet."""
    image = Image.open(io.BytesIO(content), formats=FORMATS)
    if image.mode not in EIGHT_BIT | SIXTEEN_BIT:
        raise UnreadableImage(f"{image.mode} pixels; expected 8 or 16 bits, grey, or 8 bits a channel in colour")
    # Pillow would cut these to 8 bits without a word
    if image.format == "PNG" and content[24] == 16 and image.mode not in SIXTEEN_BIT:
        raise UnreadableImage("16 bits a channel in colour; expected 8, or a .npy array of uint16")
    if image.format == "TIFF":
        _check_tiff(image)
    return image


def _check_tiff(image: Image.Image) -> None:
    tags = image.getexif()
    bits = tags.get(BITS, 1)
    if image.mode in EIGHT_BIT and max(bits if isinstance(bits, tuple) else (bits,)) > 8:
        raise UnreadableImage("16 bits a channel in colour; expected 8, or a .npy array of uint16")
    try:
        image.seek(1)
    except EOFError:
        image.seek(0)
        return
    raise UnreadableImage("several pages; expected one image a file")


def _deep(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image).astype(np.uint16)
    inverted = image.format == "TIFF" and image.getexif().get(PHOTOMETRIC) == WHITE_IS_ZERO
    return np.iinfo(np.uint16).max - pixels if inverted else pixels


def _flat(image: Image.Image, mode: str) -> Image.Image:
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        # what is transparent shows black, as a viewer with a black background shows it
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba).convert(mode)
    return image.convert(mode)


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".").lower() if str(error) else type(error).__name__
