"""A thousand damaged files of each kind that a data root holds: read, or refused by a message that names the file."""

import json

import numpy as np
import pytest
from PIL import Image
from scene_roots import Drawn, blocks, cityscapes_root, coco_official_root, picture

from bench.api.errors import DataError
from bench.data.cityscapes import Cityscapes
from bench.data.coco_stuff import CocoStuff
from bench.data.export import export
from bench.data.images import read_map, read_rgb

MUTATIONS = 1000


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """One to eight bytes changed, cut out, or put in; sometimes the end is gone."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        place, kind = int(rng.integers(max(1, len(changed)))), rng.integers(3)
        byte = bytes([int(rng.integers(256))])
        if kind == 0:
            changed[place : place + 1] = byte
        elif kind == 1:
            del changed[place : place + int(rng.integers(1, 20))]
        else:
            changed[place:place] = byte
    return bytes(changed[: int(rng.integers(len(changed) + 1))] if rng.random() < 0.1 else changed)


def refusal(read) -> str | None:
    """The message with which reading is refused, or None; anything but a DataError fails the test."""
    try:
        read()
    except DataError as error:
        return str(error)
    return None


def survives(path, data: bytes, read) -> int:
    """How many of the mutations are refused, each by a message that names the file."""
    refused = 0
    for seed in range(MUTATIONS):
        path.write_bytes(mutated(data, np.random.default_rng(seed)))
        if message := refusal(read):
            refused += 1
            assert path.name in message
            assert message.isprintable()
    return refused


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Pillow's, of damaged tags
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
def test_damaged_pictures(tmp_path, kind):
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[274], exif[305] = 1, "a camera"
    Image.fromarray(picture(1)).save(path, format=kind, **({} if kind == "BMP" else {"exif": exif}))
    assert survives(path, path.read_bytes(), lambda: read_rgb(path)) > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bits", [8, 16])
def test_damaged_maps(tmp_path, bits):
    path = tmp_path / "a.png"
    Image.fromarray(blocks(1, [0, 1, 9]).astype(np.uint8 if bits == 8 else np.uint16)).save(path)
    data = path.read_bytes()
    assert survives(path, data, lambda: read_map(path)) > MUTATIONS // 2
    if bits == 16:
        survives(path, data, lambda: read_rgb(path))


@pytest.mark.slow
def test_damaged_annotations(tmp_path):
    root = coco_official_root(tmp_path, with_annotations=True)
    path = root / "annotations/instances_val2017.json"

    def read():
        source = CocoStuff(root)
        source.load("val", source.ids("val")[0])

    assert survives(path, path.read_bytes(), read) > 0


@pytest.mark.slow
def test_damaged_export_indices(tmp_path):
    export(Drawn(), "train", tmp_path, 2, progress=False)
    path = tmp_path / "dataset.json"
    data = path.read_bytes()
    assert survives(path, data, lambda: Cityscapes(tmp_path).ids("train")) > MUTATIONS // 2
    path.write_bytes(data)
    sums = tmp_path / "SHA256SUMS"
    whole = sums.read_bytes()
    for seed in range(MUTATIONS):
        sums.write_bytes(mutated(whole, np.random.default_rng(seed)))
        assert (refusal(lambda: Cityscapes(tmp_path).ids("train")) or "").isprintable()


@pytest.mark.slow
def test_wrong_types_in_annotations(tmp_path):
    """Every value of the file in turn is something else."""
    root = coco_official_root(tmp_path, with_annotations=True)
    path = root / "annotations/instances_val2017.json"
    content = json.loads(path.read_text())
    for value in (None, True, -1, 1e300, "text", [], {}, [[]], {"a": []}):
        for place in _places(content):
            path.write_text(json.dumps(_replaced(content, place, value)))
            assert path.name in (refusal(lambda: CocoStuff(root).load("val", "000000000009")) or path.name)


def _places(content, here=()):
    """The way to every value in a JSON document."""
    yield here
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield from _places(value, (*here, key))


def _replaced(content, place, value):
    if not place:
        return value
    copy = content.copy()
    copy[place[0]] = _replaced(content[place[0]], place[1:], value)
    return copy


@pytest.mark.slow
def test_damaged_scenes_are_answered_alike_by_check_and_run(tmp_path):
    from bench.data.folder import check

    root = cityscapes_root(tmp_path, count=1)
    paths = sorted(root.rglob("*.png"))
    whole = [path.read_bytes() for path in paths]
    for seed in range(100):
        rng = np.random.default_rng(seed)
        for path, data in zip(paths, whole, strict=True):
            path.write_bytes(mutated(data, rng) if rng.random() < 0.5 else data)
        source = Cityscapes(root)
        problems = check(source, "val", progress=False).problems
        message = refusal(lambda source=source: source.load("val", source.ids("val")[0]))
        assert message == (str(problems[0]) if problems else None)
