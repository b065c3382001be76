"""Reading and resizing the files of a data set: pictures as RGB, label and instance maps as integers."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from bench.scenes.problems import FileError, Problem

#: What Pillow raises for a file that is absent, damaged or not a picture.
_READ_ERRORS = (OSError, SyntaxError, ValueError, EOFError, zlib.error, struct.error, Image.DecompressionBombError)

#: Pillow's modes whose pixels are ids: 8 bit, palette (the index is the id), 16 and 32 bit.
_MAP_MODES = ("L", "P", "I", "I;16", "I;16B", "I;16L")


def read_rgb(path: Path) -> np.ndarray:
    """A picture as (H, W, 3) uint8 RGB at its own size; greyscale, palette and CMYK files are converted.

    FileError for a file that cannot be read.
    """
    return np.array(_decode(path).convert("RGB"))


def read_map(path: Path) -> np.ndarray:
    """A map of ids as (H, W) int32 at its own size; FileError for a file that holds colours instead."""
    image = _decode(path)
    if image.mode not in _MAP_MODES:
        what = f"holds colours (mode {image.mode}) where a map of integer ids is needed"
        raise FileError(Problem(path, what, "use the data set's id maps"))
    return np.asarray(image).astype(np.int32)


def verify_checksums(path: Path) -> None:
    """Check what decoding does not: the checksum of every chunk of a PNG. FileError names a damaged file."""
    try:
        with Image.open(path) as image:
            image.verify()
    except _READ_ERRORS as error:
        raise FileError(_damaged(path, error)) from None


def resize_rgb(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """(h, w, 3) uint8 -> (height, width, 3) by one bicubic step, whose kernel Pillow widens when shrinking, so that it
    filters what would alias. It is the resize of SPADE, CC-FPSE, SMIS and OASIS at test time."""
    if image.shape[:2] == (height, width):
        return image
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def resize_rgb_sdm(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """(h, w, 3) uint8 -> (height, width, 3): halved with a box filter while its short side is at least twice the
    target's, then one bicubic step. It is the resize of SDM's and GESCO's loaders at test time."""
    picture = Image.fromarray(image)
    while min(picture.size) >= 2 * min(height, width):
        picture = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BOX)
    return resize_rgb(np.array(picture), height, width)


#: Name in bench.toml -> how pictures are made smaller. Maps are resized by one nearest-neighbour step under both.
RESIZE_RULES: dict[str, Callable[[np.ndarray, int, int], np.ndarray]] = {"spade": resize_rgb, "sdm": resize_rgb_sdm}


def resize_map(ids: np.ndarray, height: int, width: int) -> np.ndarray:
    """(h, w) int32 -> (height, width) int32 by one nearest-neighbour step, in the same pixel raster as `resize_rgb`."""
    if ids.shape == (height, width):
        return ids
    return np.array(Image.fromarray(ids).resize((width, height), Image.Resampling.NEAREST))


def _decode(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except FileNotFoundError:
        raise FileError(Problem(path, "is missing", "restore it or download the data set again")) from None
    except _READ_ERRORS as error:
        raise FileError(_damaged(path, error)) from None


def _damaged(path: Path, error: BaseException) -> Problem:
    return Problem(path, f"cannot be read ({error})", "it is damaged or not a picture: restore or download it again")
