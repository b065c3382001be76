"""Sample pictures for the site: a few scenes of a run's cache, small enough to be kept beside the results.

OUT/index.json says what there is. A scene has a folder with the original and its labels, and for the received map and
each method one strip: the pictures of all PSNRs below each other, best channel first, so that a slider moves within one
file. Detections are transparent SVG strips of the same shape, depths are strips of their own.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.api.errors import BenchError
from bench.api.files import safe_name, sha256
from bench.api.scenes import SceneSource, stack
from bench.api.seeding import digest
from bench.channels.registry import read_channel
from bench.config import Config
from bench.leaderboard.overlays import SPAN, Seers, boxes_svg, load_seers, near, paint_depth, tensor
from bench.pictures.sheet import PictureRun, map_sender, open_scenes, paint_labels, received_map, runs_of
from bench.run.cell import read_picture
from bench.run.worker import one_thread

SCHEMA = 2
INDEX = "index.json"
SCENES = 4
QUALITY = 55
#: Grey where a picture is missing.
BLANK = 128


def write_samples(
    results: Path, facts: dict[str, Any], config: Config, out: Path, scenes: int = SCENES,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:  # fmt: skip
    """Write the first `scenes` scenes of each data set of the run in `results`, whose cache has to be there, to the new
    folder `out`; the index. `say` gets a line for what is left out. BenchError without cells, or where `out` holds
    something else than samples."""
    runs = _longest(runs_of(results, facts), say)
    if not runs:
        raise BenchError(
            f"the cache in {results} holds no pictures of its last run, so there is nothing to sample; "
            f"run `bench run --out {results}` again"
        )
    if out.exists() and not (out / INDEX).is_file() and any(out.iterdir()):
        raise BenchError(f"{out} exists and holds no samples; choose another folder or remove it")
    draft = out.with_name(f".{out.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with one_thread(), torch.inference_mode():
            sets = [_SampleSet(run, config, draft, scenes, say).write() for run in runs]
        provenance = {key: facts.get(key) for key in ("commit", "dirty", "date", "command", "devices")}
        index = sealed({"schema": SCHEMA, "provenance": provenance, "sets": sets}, draft)
        (draft / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
        if out.exists():
            shutil.rmtree(out)
        os.rename(draft, out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return index


def _longest(runs: Sequence[PictureRun], say: Callable[[str], None]) -> list[PictureRun]:
    """Of each data set the longest list of scenes."""
    found: dict[str, PictureRun] = {}
    for run in sorted(runs, key=lambda run: -int(run.facts["scenes_used"])):
        if found.setdefault(run.dataset, run) is not run:
            say(f"no samples of {run.key}: {found[run.dataset].key} has more scenes of {run.dataset}")
    return [run for run in runs if found[run.dataset] is run]


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


@dataclass
class _SampleSet:
    """One data set's samples in the making."""

    run: PictureRun
    config: Config
    folder: Path
    scenes: int
    say: Callable[[str], None]

    def write(self) -> dict[str, Any]:
        """Write the pictures; the set's part of the index."""
        run = self.run
        key = next(iter(run.cells.values())).manifest["key"]
        source = open_scenes(run)
        psnrs = sorted({psnr for _, psnr in run.cells}, reverse=True)
        seers = load_seers(run.dataset)
        for reason in seers.missing:
            self.say(f"{run.dataset}: {reason}")
        sender = map_sender(run, source, self.config)
        name = safe_name("-".join([run.dataset, key["split"], f"{source.height}x{source.width}"]))
        scene_ids = key["scenes"][: self.scenes]
        maker = _Scene(run, source, psnrs, key, sender, seers)
        listed = []
        for position, scene_id in enumerate(scene_ids):
            folder = f"{name}/{position:03d}-{safe_name(scene_id)}"
            (self.folder / folder).mkdir(parents=True)
            for file, data in maker.files(position, scene_id):
                (self.folder / folder / file).write_bytes(data)
            listed.append({"id": scene_id, "folder": folder})
        return {
            "dataset": run.dataset, "split": key["split"], "size": [source.height, source.width],
            "channel": read_channel(key["channel"]).convention, "seed": key["seed"],
            "psnrs": psnrs, "scenes": listed, "received": sender[0] if sender else None,
            "detector": seers.detector.protocol if seers.detector else None,
            "depth": seers.depth.protocol if seers.depth else None,
            "methods": [{"spec": spec, "file": stem(k, spec), "psnrs": [p for p in psnrs if (spec, p) in run.cells]}
                        for k, spec in enumerate(run.specs)],
        }  # fmt: skip


def stem(number: int, spec: str) -> str:
    """The name of a method's files without their ending; the number keeps names apart that look alike on disk."""
    return f"{number:02d}-{safe_name(spec)}"


@dataclass
class _Scene:
    """Makes the files of single scenes."""

    run: PictureRun
    source: SceneSource
    psnrs: Sequence[float]
    key: dict[str, Any]
    sender: tuple[str, Any] | None
    seers: Seers

    def files(self, position: int, scene_id: str) -> Iterator[tuple[str, bytes]]:
        """Every file of one scene: name and content."""
        space, size = self.source.label_space, (self.source.height, self.source.width)
        arrays = self.source.load(self.key["split"], scene_id)
        yield "original.webp", _webp(arrays.image)
        yield "labels.webp", _webp(paint_labels(arrays.labels, space), lossless=True)
        if self.sender is not None:
            scene, channels = stack([arrays], space), [read_channel(self.key["channel"], psnr) for psnr in self.psnrs]
            maps = [received_map(self.sender[1], scene, channel, self.key["seed"]) for channel in channels]
            yield "received.webp", _webp(_strip(maps, size))
        span = (0.0, 1.0)
        if self.seers.depth is not None:
            nearness = near(self.seers.depth.estimate(tensor([arrays.image])), self.seers.depth.inverse)[0]
            span = tuple(float(q) for q in np.quantile(nearness, SPAN))  # type: ignore[assignment]
            yield "original.depth.webp", _webp(paint_depth(nearness, span))
        if self.seers.detector is not None:
            found = self.seers.detector.detect(tensor([arrays.image]))
            yield "original.boxes.svg", boxes_svg(found, self.seers.threshold, size, space).encode()
        for number, spec in enumerate(self.run.specs):
            entries = [self.run.cells.get((spec, psnr)) for psnr in self.psnrs]
            pictures = [None if entry is None else read_picture(entry, position) for entry in entries]
            name = stem(number, spec)
            yield f"{name}.webp", _webp(_strip(pictures, size))
            yield from self._seen(name, pictures, size, span)

    def _seen(
        self, name: str, pictures: Sequence[np.ndarray | None], size: tuple[int, int], span: tuple[float, float]
    ) -> Iterator[tuple[str, bytes]]:
        """What the networks see in a strip of pictures."""
        there = [k for k, picture in enumerate(pictures) if picture is not None]
        batch = tensor([picture for picture in pictures if picture is not None])
        if self.seers.detector is not None:
            found = dict(zip(there, self.seers.detector.detect(batch), strict=True))
            boxes = [found.get(k) for k in range(len(pictures))]
            yield f"{name}.boxes.svg", boxes_svg(boxes, self.seers.threshold, size, self.source.label_space).encode()
        if self.seers.depth is not None:
            nearness = near(self.seers.depth.estimate(batch), self.seers.depth.inverse)
            painted = {k: paint_depth(one, span) for k, one in zip(there, nearness, strict=True)}
            yield f"{name}.depth.webp", _webp(_strip([painted.get(k) for k in range(len(pictures))], size))


def _strip(pictures: Sequence[np.ndarray | None], size: tuple[int, int]) -> np.ndarray:
    """Pictures below each other, grey where there is none: (P * H, W, 3) uint8."""
    blank = np.full((*size, 3), BLANK, dtype=np.uint8)
    return np.concatenate([blank if picture is None else picture for picture in pictures])


def _webp(pixels: np.ndarray, lossless: bool = False) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=lossless, quality=100 if lossless else QUALITY, method=6)
    return buffer.getvalue()
