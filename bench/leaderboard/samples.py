"""Sample pictures for the site: a few scenes of a run's cache, small enough to be kept beside the results.

OUT/index.json says what there is. A scene has a folder with the original and its labels, and for the received map and
each method one strip: the pictures of all PSNRs below each other, best channel first, so that a slider moves within one
file. Detections are transparent SVG strips of the same shape, depths are strips of their own.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from html import escape
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from bench.api.errors import BenchError
from bench.api.files import replacing, safe_name, sha256
from bench.api.scenes import LabelSpace
from bench.api.seeding import digest
from bench.leaderboard.pages import published_facts
from bench.pictures.album import Album
from bench.pictures.evaluators import Evaluators, load_evaluators, paint_nearness, span_of
from bench.results.request import Request, parts

if TYPE_CHECKING:
    from metrics.evaluators.detectors import Detections

SCHEMA = 2
INDEX = "index.json"
SCENES = 4
QUALITY = 55
#: Of bold letters, in heights of the text: how wide one is, and how far most go above the baseline.
WIDTH_OF_LETTERS, ASCENT = 0.62, 0.8
#: Grey where a picture is missing.
BLANK = 128


def write_samples(request: Request, scenes: int = SCENES) -> dict[str, Any]:
    """Write the first `scenes` scenes of each data set of a run to the new folder `request.to`; the index.

    `request.say` gets a line for what is left out. BenchError without cells in the run's cache, or where the folder
    holds something else than samples.
    """
    results, out = request.folder, request.to
    there = [a for part in parts(request) if (a := Album(request, part, scenes)).look_for_all()]
    longest: dict[str, Album] = {}  # of each data set the longest list of scenes, on its first channel
    for album in sorted(there, key=lambda album: -len(album.run_ids)):
        if (kept := longest.setdefault(album.dataset, album)) is not album:
            request.say(f"no samples of {album.part.key}: {kept.part.key} is shown of {album.dataset}")
    albums = [album for album in there if longest[album.dataset] is album]
    if not albums:
        raise BenchError(
            f"the cache in {results} holds no pictures of its last run, so there is nothing to sample; "
            f"run `bench run --out {results}` again"
        )
    if out.exists() and not (out / INDEX).is_file() and any(out.iterdir()):
        raise BenchError(f"{out} exists and holds no samples; choose another folder or remove it")
    with replacing(out) as draft:
        draft.mkdir()
        sets = [_write_set(album, draft) for album in albums]
        told = {key: request.facts.get(key) for key in ("commit", "dirty", "date", "command", "devices")}
        provenance = published_facts(told)
        index = sealed({"schema": SCHEMA, "provenance": provenance, "sets": sets}, draft)
        (draft / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return index


def sealed(index: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The index with the digests of the pictures in `folder`, and of itself."""
    found = {
        file.relative_to(folder).as_posix(): sha256(file.read_bytes())
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != INDEX
    }
    index = {**index, "files": found}
    return {**index, "seal": digest(index)}


def read_index(folder: Path) -> dict[str, Any] | None:
    """The index of the samples in `folder`, None where there are none; BenchError where it or a picture is damaged."""
    file = folder / INDEX
    if not file.is_file():
        return None
    again = "write the samples again with `bench leaderboard samples`"
    try:
        index = json.loads(file.read_bytes())
        known = index["schema"] == SCHEMA and index.pop("seal") == digest(index)
    except (ValueError, KeyError, TypeError, RecursionError):
        known = False
    if not known:
        raise BenchError(f"{file} is damaged or of another version; {again}")
    for name, told in index["files"].items():
        try:
            found = sha256((folder / name).read_bytes())
        except OSError as error:
            raise BenchError(f"{folder / name} cannot be read ({error.strerror}); {again}") from None
        if found != told:
            raise BenchError(f"{folder / name} has changed since it was written; {again}")
    return dict(index)


def _write_set(album: Album, draft: Path) -> dict[str, Any]:
    """Write the pictures of one data set into the folder; the set's part of the index."""
    seen = load_evaluators(album.dataset, album.request.config)
    for what, reason in seen.missing.items():
        album.request.say(f"{album.dataset}: no {what}: {reason}")
    sender, psnrs = next(album.map_senders(), None), sorted({psnr for _, psnr in album.places}, reverse=True)
    size = [album.source.height, album.source.width]
    name = safe_name("-".join([album.dataset, album.split, "x".join(map(str, size))]))
    listed = []
    for position, scene in enumerate(album.ids):
        folder = f"{name}/{position:03d}-{safe_name(scene)}"
        (draft / folder).mkdir(parents=True)
        for file, data in _files(album, scene, psnrs, sender, seen):
            (draft / folder / file).write_bytes(data)
        listed.append({"id": scene, "folder": folder})
    return {
        "dataset": album.dataset, "split": album.split, "size": size, "channel": album.part.channel,
        "seed": album.seed, "psnrs": psnrs, "scenes": listed, "received": sender,
        "detector": seen.detector.protocol if seen.detector else None,
        "depth": seen.depth.protocol if seen.depth else None,
        "methods": [{"spec": spec, "file": stem(k, spec), "psnrs": [p for p in psnrs if (spec, p) in album.places]}
                    for k, spec in enumerate(album.specs)],
    }  # fmt: skip


def stem(number: int, spec: str) -> str:
    """The name of a method's files without their ending; the number keeps names apart that look alike on disk."""
    return f"{number:02d}-{safe_name(spec)}"


def _files(
    album: Album, scene: str, psnrs: Sequence[float], sender: str | None, seen: Evaluators
) -> Iterator[tuple[str, bytes]]:
    """Every file of one scene, name and content: the pictures, and what the networks see in them."""
    image, size = album[scene].image, (album.source.height, album.source.width)
    yield "original.webp", _webp(image)
    yield "labels.webp", _webp(album.labels(scene), lossless=True)
    if sender is not None:
        yield "received.webp", _webp(_strip([album.received_map(sender, psnr, scene) for psnr in psnrs], size))
    span = (0.0, 1.0)
    if seen.depth is not None:
        near = seen.nearness([image])[0]
        span = span_of(near)
        yield "original.depth.webp", _webp(paint_nearness(near, span))
    if seen.detector is not None:
        yield "original.boxes.svg", boxes_svg(seen.detect([image]), seen.threshold, size, album.space).encode()
    for number, spec in enumerate(album.specs):
        name, pictures = stem(number, spec), [album.cached(spec, psnr, scene) for psnr in psnrs]
        yield f"{name}.webp", _webp(_strip(pictures, size))
        there = [k for k, picture in enumerate(pictures) if picture is not None]
        batch = [picture for picture in pictures if picture is not None]
        if seen.detector is not None:
            found = dict(zip(there, seen.detect(batch), strict=True))
            boxes = [found.get(k) for k in range(len(pictures))]
            yield f"{name}.boxes.svg", boxes_svg(boxes, seen.threshold, size, album.space).encode()
        if seen.depth is not None:
            painted = {k: paint_nearness(one, span) for k, one in zip(there, seen.nearness(batch), strict=True)}
            yield f"{name}.depth.webp", _webp(_strip([painted.get(k) for k in range(len(pictures))], size))


def boxes_svg(found: Sequence[Detections | None], threshold: float, size: tuple[int, int], space: LabelSpace) -> str:
    """Boxes and names of a strip of pictures, stacked from the top, as a transparent SVG of the strip's size.

    Noise makes detectors see a hundred things, so all boxes of a picture are one path, and a name that would lie on
    another one is left out.
    """
    height, width = size
    thin, text = _thin(width), _text(width)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height * len(found)}" '
        f'font-family="sans-serif" font-size="{text:.2f}" font-weight="700">'
    ]
    for number, one in enumerate(found):
        boxes, names = [], []
        for box, score, label in zip(one.boxes, one.scores, one.labels, strict=True) if one is not None else ():
            if score >= threshold:
                boxes.append(tuple(round(float(v), 1) for v in box))
                names.append(space.names[int(label)])
        outlines = [f"M{x0:g} {y0:g}H{x1:g}V{y1:g}H{x0:g}z" for x0, y0, x1, y1 in boxes]
        texts = [f'<text x="{x:.1f}" y="{y:.1f}">{escape(name)}</text>' for x, y, name in placed(boxes, names, size)]
        path = "".join(outlines)
        parts.append(
            f'<svg y="{number * height}" width="{width}" height="{height}">'  # clips what leaves the picture
            f'<g fill="none"><path d="{path}" stroke="#000" stroke-width="{2.4 * thin:.2f}"/>'
            f'<path d="{path}" stroke="#ffe14d" stroke-width="{1.2 * thin:.2f}"/></g>'
            f'<g fill="#ffe14d" stroke="#000" stroke-width="{2 * thin:.2f}" paint-order="stroke">{"".join(texts)}</g>'
            "</svg>"
        )
    return "".join([*parts, "</svg>"])


def placed(
    boxes: Sequence[tuple[float, ...]], names: Sequence[str], size: tuple[int, int]
) -> Iterator[tuple[float, float, str]]:
    """Where the names of boxes stand in a picture, (left, baseline, name), each where no earlier one is.

    Above its box, inside at the top, below, or inside at the bottom, from the box's left or to its right; nowhere
    where all of that is taken or outside of the picture.
    """
    height, width = size
    thin, text = _thin(width), _text(width)
    taken: list[tuple[float, float, float, float]] = []
    for (x0, y0, x1, y1), name in zip(boxes, names, strict=True):
        wide = WIDTH_OF_LETTERS * text * len(name)
        for y, x in product((y0 - thin, y0 + text, y1 + text, y1 - 2 * thin), (x0 + thin, x1 - wide - thin)):
            own = (x, y - ASCENT * text, x + wide, y + (1 - ASCENT) * text)
            inside = own[0] >= 0 and own[1] >= 0 and own[2] <= width and own[3] <= height
            if inside and all(own[2] <= o[0] or o[2] <= own[0] or own[3] <= o[1] or o[3] <= own[1] for o in taken):
                taken.append(own)
                yield x, y, name
                break


def _thin(width: int) -> float:
    return width / 200


def _text(width: int) -> float:
    return width / 27


def _strip(pictures: Sequence[np.ndarray | None], size: tuple[int, int]) -> np.ndarray:
    """Pictures below each other, grey where there is none: (P * H, W, 3) uint8."""
    blank = np.full((*size, 3), BLANK, dtype=np.uint8)
    return np.concatenate([blank if picture is None else picture for picture in pictures])


def _webp(pixels: np.ndarray, lossless: bool = False) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=lossless, quality=100 if lossless else QUALITY, method=6)
    return buffer.getvalue()
