"""Pictures that were made elsewhere, as a cell: matched with a data set's scenes by name, measured like any other."""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.api.device import resolve_devices
from bench.api.errors import DataError, UsageError, some
from bench.api.files import MANIFEST, PACK, Broken, Draft, Entry, file_digest, read_manifest, safe_name
from bench.api.names import metrics_asked
from bench.api.registry import METHODS, METRICS
from bench.api.seeding import digest
from bench.channels.registry import build_channel
from bench.config import Config
from bench.data.images import read_rgb
from bench.data.listing import find_files
from bench.data.registry import known_dataset
from bench.run.cell import cell_path, find_cell, png
from bench.run.plan import Cell, MethodPlan, Plan, SceneSet, metric_plans, noise_reference, scene_set
from bench.run.setting import open_configured, usual_profile
from bench.run.trial import Told, Trial, check_sections

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def score_plan(
    pictures: Path, name: str, psnr: float, config: Config, root: Path | None = None, count: int | None = None
) -> Plan:
    """A plan of one cell, whose `pictures` are kept below the configuration's folder already.

    They are those in a folder, or in the pack of a cell's folder or another zip, and are matched with the first `count`
    scenes of the split (all, if None) of the configuration's one data set. `name` is that of the row, `psnr` where it
    stands. UsageError lists scenes without a picture, DataError pictures that cannot be read or are of another size.
    """
    if not re.fullmatch("[A-Za-z0-9_]{1,60}", name) or name in METHODS.names():
        raise UsageError(f"--name '{name}': a name of letters, digits and '_' that no method has")
    opened_as = known_dataset(config.run.datasets[0], config.data)
    source = open_configured(opened_as, config, root)
    split = source.evaluation_split() if config.run.split.casefold() == "auto" else config.run.split
    if count is None:
        count = len(source.ids(split)) if split in source.splits else 1
    scenes = scene_set(
        source, opened_as, config.model_copy(update={"run": config.run.model_copy(update={"scenes": count})})
    )
    devices, told = resolve_devices(config.run.device), Told()
    told.left_out += [f"{scenes.dataset}: {note}" for note in source.notes(scenes.split)]
    asked = metrics_asked(config.run.metrics, METRICS.names())
    with Trial(config.run) as trial:
        check_sections(config, trial)
        metrics = metric_plans(asked, source, config, trial, told)
    channel = build_channel(config.channel.kind, psnr, config.channel.options)
    with _unpacked(pictures, config.run.out) as folder:
        files = _matched(folder, scenes, pictures)
        identity = {"name": name, "pictures": digest([file_digest(path) for path in files])}
        method = MethodPlan(name, usual_profile(scenes.dataset), {}, None, identity)
        cell = Cell(scenes, method, channel, 0, devices.kind)
        if find_cell(cell, config.run.out) is None:
            _keep(cell, files, config.run.out)
    reference = (noise_reference(scenes, devices.kind),) if metrics else ()
    return Plan((cell,), {scenes.dataset: metrics}, devices, tuple(told.left_out), reference, tuple(told.failures))


@contextmanager
def _unpacked(pictures: Path, out: Path) -> Iterator[Path]:
    """The folder of the pictures: of a pack or another zip one below `out` that is there for as long as this."""
    pack = pictures / PACK if pictures.is_dir() else pictures
    if not pack.is_file():
        if not pictures.is_dir():
            raise UsageError(f"there is no folder {pictures}")
        yield pictures
        return
    with Draft(out) as draft:
        try:
            if (pack.parent / MANIFEST).is_file():
                Entry(pack.parent, *read_manifest(pack.parent)).verify()
            with zipfile.ZipFile(pack) as packed:
                packed.extractall(draft.folder)
        except (Broken, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise DataError(f"{pack} is damaged, or no zip of pictures: {error}") from None
        yield draft.folder


def _matched(folder: Path, scenes: SceneSet, pictures: Path) -> list[Path]:
    """The file of every scene in `folder`, named like its id or as a cell of a run names it; messages say `pictures`.

    UsageError, DataError as of `score_plan`.
    """
    found = find_files(folder, _PICTURES)
    if found.problems:
        raise DataError(str(found.problems[0]))
    files: list[Path] = []
    missing = []
    for position, scene_id in enumerate(scenes.ids):
        safe = safe_name(scene_id)
        path = next((found.files[n] for n in (scene_id, safe, f"{position:05d}-{safe}") if n in found.files), None)
        files += [] if path is None else [path]
        missing += [scene_id] if path is None else []
    if missing:
        raise UsageError(
            f"{len(missing)} of {len(scenes.ids)} scenes of {scenes.dataset} {scenes.split} have no picture in "
            f"{pictures}: {some(missing)}. Name pictures like the scenes, or take fewer (--scenes N: the first N)"
        )
    if unknown := sorted({*found.files.values()} - {*files}):
        names = some([path.name for path in unknown])
        raise UsageError(
            f"{len(unknown)} pictures in {pictures} belong to none of these scenes: {names}; move them away, or take "
            "more scenes"
        )
    return files


def _keep(cell: Cell, files: list[Path], out: Path) -> None:
    """Publish the pictures as those of the cell; what they cost is not known."""
    size, facts = cell.scenes.size, []
    with Draft(out) as draft:
        for position, (scene_id, path) in enumerate(zip(cell.scenes.ids, files, strict=True)):
            pixels = read_rgb(path)
            if pixels.shape[:2] != size:
                was, due = ("{}x{}".format(*one) for one in (pixels.shape, size))
                raise DataError(
                    f"{path} is {was}, the scenes of {cell.scenes.dataset} are read at {due}; make both equal"
                )
            name = f"{position:05d}-{safe_name(scene_id)}.png"
            draft.pack(name, png(pixels))
            facts.append({"id": scene_id, "file": name})
        draft.publish(cell_path(out, cell), {"key": cell.key, "scenes": facts, "provenance": None})
