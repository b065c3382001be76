"""Render or read many scenes once, into arrays on disk that a training loop maps into memory.

A folder `NAME-SPLIT-COUNT-KEY` holds one .npy file per array and `scenes.json`. KEY is made of the source's
fingerprint, so a folder never serves scenes of another renderer version, size or data root. A folder appears in one
step: it is filled under a temporary name and renamed when it is complete. A process that is killed may leave a hidden
folder `.NAME-...` behind, which can be deleted.
"""

import errno
import json
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from bench.api.errors import DataError
from bench.api.scenes import LabelSpace, Scene, SceneSource
from bench.api.seeding import text_digest
from bench.api.terminal import in_parallel

#: Bumped when the layout of a folder changes.
_FORMAT = 1
_CHUNK = 32
_INDEX = "scenes.json"


class MaterialisedScenes:
    """`count` scenes of one split as arrays mapped from disk; `batch` makes a `bench.api.scenes.Scene` of some of them.

    `images` (N, H, W, 3) uint8, `labels` (N, H, W) uint8, `instances` (N, H, W) int32, `depths` (N, H, W) float32
    metres or None; `ids` N scene ids.
    """

    def __init__(self, folder: Path, label_space: LabelSpace) -> None:
        """Map a folder written by `materialise`; DataError names what is missing or damaged in it."""
        try:
            index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
            self.ids: tuple[str, ...] = tuple(index["ids"])
            arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in index["arrays"]}
            complete = all(len(array) == len(self.ids) for array in arrays.values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(f"the rendered scenes in {folder} are damaged ({error}); delete this folder") from None
        if not complete:
            raise DataError(f"the rendered scenes in {folder} are incomplete; delete this folder")
        self.folder = folder
        self.label_space = label_space
        self.images: np.ndarray = arrays["images"]
        self.labels: np.ndarray = arrays["labels"]
        self.instances: np.ndarray = arrays["instances"]
        self.depths: np.ndarray | None = arrays.get("depths")

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, indices: Sequence[int]) -> Scene:
        """The scenes with these numbers, in this order, as tensors in memory."""
        rows = np.asarray(indices, dtype=np.int64)
        return Scene(
            image=torch.from_numpy(self.images[rows]).permute(0, 3, 1, 2).float().div_(255),
            labels=torch.from_numpy(self.labels[rows]).long(),
            instances=torch.from_numpy(self.instances[rows]),
            depth=None if self.depths is None else torch.from_numpy(self.depths[rows]),
            ids=tuple(self.ids[row] for row in rows),
            label_space=self.label_space,
        )


def materialise(
    source: SceneSource,
    split: str,
    count: int,
    cache_dir: Path,
    jobs: int = 1,
    with_depth: bool = False,
    progress: bool = True,
) -> MaterialisedScenes:
    """The first `count` scenes of a split, from `cache_dir` if they are there, else rendered by `jobs` processes.

    `with_depth` adds the depth maps, which need the source to have them. DataError where the split has fewer scenes
    than asked for, where a scene cannot be read, or where the disk is full.
    """
    ids = source.ids(split, count)
    if not ids or len(ids) < count:
        raise DataError(f"the split {split} of {source.name} has {len(ids)} scenes, {count} were asked for")
    fingerprint = source.fingerprint(split, ids)
    parts = [str(_FORMAT), fingerprint, "depth" if with_depth else "no depth"]
    key = text_digest("\n".join(parts))
    folder = Path(cache_dir) / f"{source.name}-{split}-{count}-{key[:16]}"
    if not folder.is_dir():
        _fill(folder, source, split, ids, fingerprint, jobs, with_depth, progress)
    return MaterialisedScenes(folder, source.label_space)


def _fill(
    folder: Path,
    source: SceneSource,
    split: str,
    ids: list[str],
    fingerprint: str,
    jobs: int,
    with_depth: bool,
    progress: bool,
) -> None:
    """Write all arrays into a temporary folder beside `folder` and rename it; leaves nothing behind on failure."""
    temporary: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        names = _allocate(temporary, source, split, ids, with_depth)
        chunks = [(temporary, source, split, at, ids[at : at + _CHUNK], names) for at in range(0, len(ids), _CHUNK)]
        deque(in_parallel(_render_chunk, chunks, jobs, f"{source.name} {split} scenes", progress), maxlen=0)
        if source.fingerprint(split, ids) != fingerprint:
            raise DataError(f"files of {source.name} were changed while they were read; start again")
        (temporary / _INDEX).write_text(json.dumps({"ids": ids, "arrays": names}), encoding="utf-8")
        temporary.chmod(0o755)  # mkdtemp makes it private; other users of a shared cache may read it
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process was faster, and its scenes are the same
                raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(f"the disk is full: no room in {folder.parent} for {len(ids)} scenes; free some") from None
        raise DataError(f"cannot write the rendered scenes to {folder}: {error.strerror or error}") from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _allocate(folder: Path, source: SceneSource, split: str, ids: list[str], with_depth: bool) -> list[str]:
    """Create the .npy files at their final size, with their disk space reserved; returns the arrays' names."""
    count, height, width = len(ids), source.height, source.width
    arrays: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {
        "images": ((count, height, width, 3), np.uint8),
        "labels": ((count, height, width), np.uint8),
        "instances": ((count, height, width), np.int32),
    }
    if with_depth:
        if source.load(split, ids[0]).depth is None:
            raise DataError(f"{source.name} has no depth")
        arrays["depths"] = ((count, height, width), np.float32)
    for name, (shape, kind) in arrays.items():
        path = folder / f"{name}.npy"
        np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape).flush()
        if hasattr(os, "posix_fallocate"):
            # Writing to a mapped file on a full disk kills the process; reserving the space first raises ENOSPC.
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return list(arrays)


def _render_chunk(folder: Path, source: SceneSource, split: str, start: int, ids: list[str], names: list[str]) -> None:
    """Load the scenes `ids` and write them to rows `start` onwards."""
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r+") for name in names}
    for row, scene_id in enumerate(ids, start):
        scene = source.load(split, scene_id)
        arrays["images"][row] = scene.image
        arrays["labels"][row] = scene.labels
        arrays["instances"][row] = scene.instances
        if "depths" in arrays:
            arrays["depths"][row] = scene.depth
    for array in arrays.values():
        array.flush()
