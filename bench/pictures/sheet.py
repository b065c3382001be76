"""A contact sheet: scenes with their label maps, what reached the receiver, and every method's pictures by PSNR."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from bench.api.channel import Channel
from bench.api.errors import BenchError, UsageError
from bench.api.files import Entry, open_entry, safe_name, write_atomically
from bench.api.method import MethodContext, MethodError
from bench.api.scenes import LabelSpace, Scene, SceneSource, stack
from bench.api.seeding import channel_stream
from bench.api.specs import build_method, parse_spec
from bench.channels.registry import read_channel
from bench.config import Config
from bench.data import registry as scene_registry
from bench.results.merge import set_key
from bench.run.cell import read_picture
from bench.run.setting import method_setting, without_weights
from bench.run.worker import one_thread

DEFAULT_PSNRS = (100.0, 10.0, 1.0)
#: Pictures narrower than this are enlarged by a whole factor, pixels kept.
MIN_WIDTH = 240
GAP, MARGIN, HEADER = 6, 64, 28


@dataclass(frozen=True)
class PictureRun:
    """The cells of one list of scenes: `cells[(spec, psnr)]`, all with one seed and channel convention. `key` names the
    list among others of the results (bench/results/merge.py); `weights_dirs` says where the run found weights that a
    spec names."""

    dataset: str
    key: str
    facts: dict[str, Any]
    cells: dict[tuple[str, float], Entry]
    weights_dirs: dict[str, str] = field(default_factory=dict)

    @property
    def specs(self) -> list[str]:
        return list(dict.fromkeys(spec for spec, _ in self.cells))


def runs_of(out: Path, facts: dict[str, Any]) -> list[PictureRun]:
    """The cached cells of the results, by list of scenes."""
    found: dict[str, dict[tuple[str, float], Entry]] = {}
    for folder in facts["cell_folders"]:
        entry = open_entry(out / folder)
        if entry is None:
            continue
        key = entry.manifest["key"]
        name = set_key(key["dataset"], key["split"], "x".join(map(str, key["size"])), len(key["scenes"]))
        if name in facts["sets"]:
            found.setdefault(name, {}).setdefault((key["spec"], key["channel"]["psnr"]), entry)
    about, folders = facts["sets"], facts.get("weights_dirs", {})
    return [PictureRun(about[name]["dataset"], name, about[name], cells, folders) for name, cells in found.items()]


def open_scenes(run: PictureRun) -> SceneSource:
    """The data set of a run; BenchError where its scenes are not those that the run had, whose pictures they would
    otherwise stand beside."""
    about = run.facts
    root = Path(about["root"]) if about["root"] else None
    source = scene_registry.open_dataset(
        about["opened_as"], root, tuple(about["size"]), resize=about.get("resize", "spade")
    )
    key = next(iter(run.cells.values())).manifest["key"]
    if source.fingerprint(key["split"], key["scenes"]) != key["fingerprint"]:
        where = "its renderer is" if root is None else f"files below {root} are"
        raise BenchError(f"the scenes of {run.dataset} changed since the run ({where} others now); run it again")
    return source


def paint_labels(labels: np.ndarray, space: LabelSpace) -> np.ndarray:
    """Label ids (H, W) in the label space's colours, (H, W, 3) uint8."""
    return np.array(space.palette, dtype=np.uint8)[labels]


def strongest_class(symbols: Tensor, channels: Sequence[int], space: LabelSpace) -> np.ndarray:
    """The label id of the strongest of the received class maps at each pixel: (K, H, W) -> (H, W) uint8. `channels`
    says which channels of the full map the K are."""
    classes = [k for k, label in enumerate(channels) if label < space.size]  # the edge channel is no class
    labels = np.array([channels[k] for k in classes], dtype=np.uint8)
    return labels[symbols[classes].argmax(dim=0).numpy()]


def map_sender(run: PictureRun, source: SceneSource, config: Config) -> tuple[str, Any] | None:
    """The first method that sends class maps and can be built here."""
    for spec_text in run.specs:
        spec = parse_spec(spec_text)
        identity = next(e.manifest["key"]["method"] for (s, _), e in run.cells.items() if s == spec_text)
        folder = run.weights_dirs.get(spec_text)
        context = MethodContext(
            source.name, source.label_space, source.height, source.width, weights_dir=Path(folder) if folder else None
        )
        try:
            setting = method_setting(spec, without_weights(config), context, identity["profile"])
            method = build_method(setting.spec, setting.context, setting.options)
        except MethodError:
            continue
        if "drop_absent" in method.options:
            return spec_text, method
    return None


def received_map(method: Any, scene: Scene, channel: Channel, seed: int) -> np.ndarray:
    """What reaches the receiver of one scene that `method` sends, the strongest class at each pixel in its colour."""
    sent = method.send(scene)
    stream = channel_stream(method.context.dataset, scene.ids[0], channel.identity(), seed)
    channels = method.sent_channels(sent.side_info[0])
    strongest = strongest_class(channel.transmit(sent.symbols[0], stream), channels, scene.label_space)
    return paint_labels(strongest, scene.label_space)


def _enlarge(picture: np.ndarray, factor: int) -> Image.Image:
    image = Image.fromarray(picture)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _block(
    run: PictureRun, source: SceneSource, position: int, psnrs: Sequence[float], sender: tuple[str, Any] | None
) -> list[list[np.ndarray | None]]:
    """The pictures of one scene: a row a PSNR; columns: the truth, the received map, one a method."""
    first = next(iter(run.cells.values())).manifest
    key, scene_id = first["key"], first["scenes"][position]["id"]
    arrays = source.load(key["split"], scene_id)
    truth = [arrays.image, paint_labels(arrays.labels, source.label_space)]
    scene = stack([arrays], source.label_space)
    rows = []
    for number, psnr in enumerate(psnrs):
        row: list[np.ndarray | None] = [truth[number] if number < len(truth) else None]
        if sender is not None:
            row.append(received_map(sender[1], scene, read_channel(key["channel"], psnr), key["seed"]))
        for spec in run.specs:
            entry = run.cells.get((spec, psnr))
            row.append(read_picture(entry, position) if entry else None)
        rows.append(row)
    rows += [[picture] for picture in truth[len(psnrs) :]]  # with a single PSNR the labels get a row of their own
    return rows


def _paste(blocks: list[list[list[np.ndarray | None]]], headings: list[str], psnrs: Sequence[float]) -> Image.Image:
    """One picture of all blocks: the truth on the left, then the PSNRs, then what depends on them."""
    height, width = next(p for row in blocks[0] for p in row if p is not None).shape[:2]
    factor = max(1, -(-MIN_WIDTH // width))
    wide, high = width * factor, height * factor
    lefts = [GAP + column * (wide + GAP) + (MARGIN if column else 0) for column in range(len(headings))]
    block_height = len(blocks[0]) * (high + GAP) + 2 * GAP
    sheet = Image.new("RGB", (lefts[-1] + wide + GAP, HEADER + len(blocks) * block_height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=14)
    for left, heading in zip(lefts, headings, strict=True):
        draw.text((left + wide / 2, HEADER / 2), heading, "black", font, anchor="mm")
    for number, block in enumerate(blocks):
        for line, row in enumerate(block):
            top = HEADER + number * block_height + line * (high + GAP)
            if line < len(psnrs):
                middle = GAP + wide + (MARGIN + GAP) / 2
                draw.text((middle, top + high / 2), f"{psnrs[line]:g} dB", "black", font, anchor="mm")
            for left, picture in zip(lefts, row, strict=False):
                if picture is not None:
                    sheet.paste(_enlarge(picture, factor), (left, top))
    return sheet


def make_sheets(
    out: Path,
    facts: dict[str, Any],
    config: Config,
    to: Path,
    scenes: int = 4,
    psnrs: Sequence[float] = DEFAULT_PSNRS,
) -> list[Path]:
    """Write sheet-DATASET.png into `to` for each data set of the results in `out`, from cached cells; the files made.
    Where a data set has several lists of scenes, each has a sheet of its own.

    The maps that reached the receiver are not in the cache: they are sent again through the same channel with the
    same noise, by the first method that sends class maps. PSNRs that were not run are left out.
    """
    runs = runs_of(out, facts)
    if not runs:
        raise BenchError(f"the cache in {out} holds none of the results' cells; run `bench run --out {out}` again")
    made = []
    for run in runs:
        about = run.facts
        source = open_scenes(run)
        shown = [p for p in psnrs if any(psnr == p for _, psnr in run.cells)]
        if not shown:
            raise UsageError(f"no cell at PSNR {', '.join(f'{p:g}' for p in psnrs)}; choose others with --psnr")
        with one_thread(), torch.inference_mode():
            sender = map_sender(run, source, config)
            positions = range(min(scenes, about["scenes_used"]))
            blocks = [_block(run, source, position, shown, sender) for position in positions]
        headings = ["original, labels", *([f"received map ({sender[0]})"] if sender else []), *run.specs]
        buffer = io.BytesIO()
        _paste(blocks, headings, shown).save(buffer, "PNG", optimize=True)
        alone = sum(other.dataset == run.dataset for other in runs) == 1
        name = run.dataset if alone else run.key.replace("/", "-")
        path = to / f"sheet-{safe_name(name)}.png"
        write_atomically(path, buffer.getvalue())
        made.append(path)
    return made
