"""Reading the files of a data set: pictures as 8-bit RGB, label and instance maps as integers; and their problems.

What a file shows has to be certain. More than 8 bits a channel are scaled; where a file leaves open what its picture
is (transparent pixels, an orientation tag, numbers without a range, several pictures), it is refused. Colour profiles
are ignored, as in the official loaders.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from bench.api.errors import DataError

#: Formats by Pillow's names, whatever a file's ending says. Others may run programs (EPS) or hold no single picture.
_PICTURE_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP")
_MAP_FORMATS = ("PNG",)  # lossy formats move ids, and TIFF may store them inverted
#: Pillow's modes that have one meaning as RGB. Not CMYK, LAB and HSV, whose colours need a profile; not I and F, whose
#: numbers have no range.
_COLOURS = ("1", "L", "La", "LA", "P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "YCbCr")
#: Pillow's modes whose pixels are ids: 1 and 8 bit, palette (the index is the id) and 16 bit.
_IDS = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
_ORIENTATION = 274  # the tag's number in EXIF and TIFF
_BITS_PER_SAMPLE = 258  # the tag's number in TIFF
_PNG = b"\x89PNG\r\n\x1a\n"
#: A picture may have so many pixels; more is a mistake or an attack (Pillow warns from the same number on).
MAX_PIXELS = 89_478_485
#: A picture of 16 bits none of whose values exceeds this holds 12 bits or fewer, and its white is unknown.
_TWELVE_BITS = 4095
_DAMAGED = "it is damaged or not a picture: restore or download it again"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a data root: the file, what is wrong with it, and what to do."""

    path: Path
    what: str
    remedy: str

    def __str__(self) -> str:
        return printable(f"{self.path} {self.what}; {self.remedy}")


class FileError(DataError):
    """A DataError about one file."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem

    def __reduce__(self) -> tuple[type[FileError], tuple[Problem]]:
        return FileError, (self.problem,)  # so that it survives the way back from a worker process


def printable(text: str) -> str:
    """`text` with escapes in the place of what must not reach a terminal: control characters and undecodable bytes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def read_rgb(path: Path) -> np.ndarray:
    """A picture as (H, W, 3) uint8 RGB at its own size.

    Greyscale and palettes are converted, 16 bits scaled by 255/65535. FileError for a file that cannot be read, or that
    leaves open which colours it shows.
    """
    with _opened(path) as file:
        image = _decode(path, file, _PICTURE_FORMATS)
        bits = _bits(image, file)
        if image.mode.startswith("I;16") or bits == 16:
            return _sixteen_bits(path, file, image)
        if image.mode not in _COLOURS or bits > 16:
            what = f"has the pixel format {image.mode}, which does not say what is black and what is white"
            if image.mode in ("CMYK", "LAB", "HSV"):
                what = f"has {image.mode} colours, which depend on a colour profile"
            raise FileError(Problem(path, what, "convert it to RGB of 8 bits a channel"))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            _check_opaque(path, np.asarray(image.getchannel("A")))
        return np.array(image.convert("RGB"))


def read_map(path: Path) -> np.ndarray:
    """A map of ids as (H, W) int32 at its own size; FileError for colours, and where ids are not certain."""
    with _opened(path) as file:
        image = _decode(path, file, _MAP_FORMATS)
        if image.mode not in _IDS:
            what = f"holds colours (mode {image.mode}) where a map of integer ids is needed"
            raise FileError(Problem(path, what, "use the data set's id maps"))
        ids = np.asarray(image).astype(np.int32)
        if image.mode == "P":
            _check_palette(path, image, ids)
        elif image.mode == "L" and (bits := _bits(image, file)) < 8:
            ids //= 255 // (2**bits - 1)  # Pillow spreads grey of 2 and 4 bits over 0..255, but ids are not brightness
        return ids


def resize_rgb(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """(h, w, 3) uint8 -> (height, width, 3) by one bicubic step, as SPADE, CC-FPSE, SMIS and OASIS do at test time.

    Pillow widens the kernel when shrinking, so that it filters what would alias.
    """
    if image.shape[:2] == (height, width):
        return image
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def resize_rgb_sdm(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """(h, w, 3) uint8 -> (height, width, 3) as SDM's and GESCO's loaders resize at test time.

    Halved with a box filter while its short side is at least twice the target's, then one bicubic step.
    """
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


def _opened(path: Path) -> IO[bytes]:
    """The file, open; FileError where there is none, or something that is no file (a pipe would be read for ever)."""
    try:
        if not path.exists() and path.is_symlink():
            raise FileError(Problem(path, "is a link to nothing", "restore the file it points to"))
        if path.exists() and not path.is_file():
            raise FileError(Problem(path, "is not a file", "restore the file or download the data set again"))
        file = path.open("rb")
        if not path.stat().st_size:
            file.close()
            raise FileError(Problem(path, "cannot be read: it is empty", "restore it or download it again"))
        return file
    except FileNotFoundError:
        raise FileError(Problem(path, "is missing", "restore it or download the data set again")) from None
    except OSError as error:
        raise FileError(unreadable(path, error)) from None


def _decode(path: Path, file: IO[bytes], formats: Collection[str]) -> Image.Image:
    """The picture, with the checksum of every chunk of a PNG verified, which decoding alone does not do."""
    try:
        with Image.open(file, formats=list(formats)) as image:
            _check_container(path, image)
            image.verify()
        file.seek(0)
        image = Image.open(file, formats=list(formats))
        tag = _orientation(image) if image.format == "TIFF" else 1  # decoding obeys a TIFF's tag and drops it
        image.load()
        if (tag := max(tag, _orientation(image))) != 1:
            what = f"has the EXIF orientation {tag}: programs that obey it turn the picture against its map"
            remedy = "if the map belongs to the turned picture, turn the pixels; then remove the tag (exiftool does)"
            raise FileError(Problem(path, what, remedy))
        return image
    except UnidentifiedImageError:
        what = f"cannot be read: it is none of {', '.join(formats)}"
        raise FileError(Problem(path, what, _DAMAGED)) from None
    except FileError:
        raise
    except Exception as error:  # whatever Pillow's decoders meet in a damaged file
        if isinstance(error, OSError) and error.errno:
            raise FileError(unreadable(path, error)) from None
        raise FileError(Problem(path, f"cannot be read ({error or type(error).__name__})", _DAMAGED)) from None


def _check_container(path: Path, image: Image.Image) -> None:
    """FileError for a picture that is too large, or one of several in a file."""
    if image.width * image.height > MAX_PIXELS:
        what = f"is {image.height}x{image.width}, more than {MAX_PIXELS // 10**6} million pixels"
        raise FileError(Problem(path, what, "restore it or scale it down"))
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # a camera's MPO is a JPEG with a preview behind it
        raise FileError(Problem(path, f"holds {frames} pictures", "keep one of them"))


def _orientation(image: Image.Image) -> int:
    """How a picture is to be turned before it is shown, 1 (not at all) to 8."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # what nobody can read turns no picture
        return 1
    return orientation if orientation in range(1, 9) else 1


def _bits(image: Image.Image, file: IO[bytes]) -> int:
    """Bits a channel in the file, which Pillow's mode does not tell."""
    if image.format == "TIFF":
        return int(np.max(image.tag_v2.get(_BITS_PER_SAMPLE, 8)))  # type: ignore[attr-defined]
    file.seek(0)
    head = file.read(25)
    return head[24] if head.startswith(_PNG) else 8


def _sixteen_bits(path: Path, file: IO[bytes], image: Image.Image) -> np.ndarray:
    """A picture of 16 bits a channel as (H, W, 3) uint8; Pillow would cut the channels off, OpenCV reads them whole."""
    import cv2

    if "transparency" in image.info:
        raise FileError(Problem(path, "has a transparent colour", "save it without transparency"))
    if image.mode == "RGBA":
        _check_opaque(path, np.asarray(image.getchannel("A")))
    file.seek(0)
    values = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16:
        raise FileError(Problem(path, "cannot be read with its 16 bits", "save it with 8 bits a channel"))
    colours = values[:, :, 2::-1] if values.ndim == 3 else np.repeat(values[:, :, None], 3, axis=2)
    if colours.max() <= _TWELVE_BITS:
        what = f"has 16 bits a channel, but no value above {colours.max()}, so what is white is unknown"
        raise FileError(Problem(path, what, "save it with 8 bits a channel"))
    return ((colours.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def _check_opaque(path: Path, alpha: np.ndarray) -> None:
    hidden = int((alpha < 255).sum())
    if hidden:
        what = f"is transparent at {hidden} of {alpha.size} pixels, so their colours are not certain"
        raise FileError(Problem(path, what, "lay it on a background and save it without transparency"))


def _check_palette(path: Path, image: Image.Image, ids: np.ndarray) -> None:
    """FileError where a palette of distinct greys is no identity: tools that shrink files move the id into the grey."""
    colours = np.array(image.getpalette("RGB") or [], dtype=np.int32).reshape(-1, 3)
    used = np.unique(ids)
    if used[-1] >= len(colours):
        return
    greys = colours[used]
    if (greys == greys[:, :1]).all() and len(np.unique(greys[:, 0])) == len(used) and (greys[:, 0] != used).any():
        what = "has a palette of greys that differ from their indices, so that its ids are not certain"
        raise FileError(Problem(path, what, "save it as a greyscale PNG of its ids"))


def unreadable(path: Path, error: OSError) -> Problem:
    """What is said of a file or folder that the system does not let us read."""
    return Problem(path, f"cannot be read ({error.strerror or error})", "check its permissions, or restore it")
