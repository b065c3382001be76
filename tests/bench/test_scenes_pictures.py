"""Pictures and maps of every kind that Pillow opens: read as what they are, or refused by name, never read as something
else; and `bench data check` and a run say the same."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from scene_roots import blocks, camvid_root, cityscapes_root, coco_spade_root, picture, save

from bench.api.errors import DataError
from bench.data.camvid import CamVid
from bench.data.cityscapes import Cityscapes
from bench.data.coco_stuff import CocoStuff
from bench.data.folder import FolderSource, check
from bench.data.images import read_map, read_rgb

GREYS = np.linspace(0, 255, 60).round().astype(np.uint8)[None].repeat(40, axis=0)


def png(raw: np.ndarray, colour_type: int, bits: int, chunks: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """A PNG whose rows are the bytes `raw`, for the kinds that Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour_type]
    width = raw.shape[1] * 8 // (channels * bits)
    rows = b"".join(b"\0" + row.tobytes() for row in raw)
    head = struct.pack(">IIBBBBB", width, len(raw), bits, colour_type, 0, 0, 0)
    body = [
        chunk(b"IHDR", head),
        *(chunk(*c) for c in chunks),
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def wide(values: np.ndarray) -> np.ndarray:
    """8-bit channels (H, W, C) as the bytes of big-endian 16-bit ones that mean the same."""
    return (values.astype(np.uint32) * 257).astype(">u2").reshape(len(values), -1).view(np.uint8)


def both_say(source: FolderSource, split: str, message: str) -> None:
    """The check finds exactly one problem, and reading the scene ends in the very same words."""
    (problem,) = check(source, split, progress=False).problems
    with pytest.raises(DataError, match=message) as caught:
        source.load(split, source.ids(split)[0])
    assert str(caught.value) == str(problem)


@pytest.fixture
def scene(tmp_path):
    """A root of one scene, and the place of its picture."""
    root = camvid_root(tmp_path)
    return CamVid(root, (40, 60)), root / "test/0001TP_000000.png"


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_png_of_16_bits_is_scaled_to_8(scene, channels):
    source, path = scene
    rgb = picture(3)
    alpha = np.full((40, 60, 1), 255, np.uint8)
    pixels = {1: GREYS[..., None], 2: np.dstack([GREYS, alpha]), 3: rgb, 4: np.dstack([rgb, alpha])}[channels]
    path.write_bytes(png(wide(pixels), {1: 0, 2: 4, 3: 2, 4: 6}[channels], 16))
    expected = rgb if channels > 2 else np.repeat(GREYS[..., None], 3, axis=2)
    np.testing.assert_array_equal(source.load("test", "0001TP_000000").image, expected)
    assert check(source, "test", progress=False).problems == []


@pytest.mark.parametrize("colour", [False, True])
def test_a_tiff_of_16_bits_is_scaled_to_8(scene, colour):
    import cv2

    source, path = scene
    pixels = picture(3) if colour else GREYS
    done, data = cv2.imencode(".tiff", (pixels[..., ::-1] if colour else pixels).astype(np.uint16) * 257)
    assert done
    path.write_bytes(data.tobytes())
    expected = pixels if colour else np.repeat(GREYS[..., None], 3, axis=2)
    np.testing.assert_array_equal(source.load("test", "0001TP_000000").image, expected)


def test_16_bits_are_rounded_not_cut_off(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(np.array([[0, 128, 0, 129, 255, 255]], np.uint8), 0, 16))  # 128 and 129 of 65535
    assert read_rgb(path)[0, :, 0].tolist() == [0, 1, 255]


def test_12_bits_in_a_file_of_16_are_refused_because_white_is_unknown(scene):
    source, path = scene
    Image.fromarray(GREYS.astype(np.uint16) * 16).save(path)
    both_say(source, "test", "16 bits a channel, but no value above 4080")


@pytest.mark.parametrize("mode", ["F", "I", "CMYK", "LAB"])
def test_a_picture_whose_numbers_have_no_one_meaning_is_refused(scene, mode):
    source, path = scene
    numbers = GREYS.astype(np.float32 if mode == "F" else np.int32)
    image = Image.fromarray(numbers) if mode in "FI" else Image.new(mode, (60, 40), tuple(range(len(mode))))
    image.save(path, format="TIFF")
    both_say(source, "test", f"{mode}.*convert it to RGB")


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_an_exif_orientation_is_refused_because_the_map_may_be_of_either_picture(scene, kind, orientation):
    source, path = scene
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(picture(1)).save(path, format=kind, exif=exif)
    both_say(source, "test", f"has the EXIF orientation {orientation}: .*turn the pixels; then remove the tag")


def test_the_exif_orientation_of_a_map_is_refused(tmp_path):
    exif = Image.Exif()
    exif[274] = 3
    Image.fromarray(blocks(1, [0, 1])).save(tmp_path / "a.png", exif=exif)
    with pytest.raises(DataError, match="EXIF orientation 3"):
        read_map(tmp_path / "a.png")


def test_exif_without_an_orientation_to_obey_changes_nothing(scene):
    source, path = scene
    exif = Image.Exif()
    exif[274], exif[305] = 1, "a camera"
    pixels = picture(1)
    Image.fromarray(pixels).save(path, exif=exif)
    np.testing.assert_array_equal(source.load("test", "0001TP_000000").image, pixels)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", exif=b"Exif\0\0no such thing")
    path.write_bytes(buffer.getvalue())
    assert check(source, "test", progress=False).problems == []


def _transparent(mode: str, alpha: int) -> Image.Image:
    image = Image.fromarray(picture(2)).convert("RGBA")
    image.putalpha(alpha)
    return image.convert(mode) if mode != "P" else image.convert("RGB").quantize(16)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
def test_transparent_pixels_are_refused_because_their_colours_are_hidden(scene, mode):
    source, path = scene
    if mode == "P":
        _transparent(mode, 255).save(path, transparency=3)
    elif mode == "RGB":  # one colour is declared transparent
        pixels = picture(2)
        pixels[:5] = 7
        Image.fromarray(pixels).save(path, transparency=(7, 7, 7))
    else:
        _transparent(mode, 200).save(path)
    both_say(source, "test", r"is transparent at \d+ of 2400 pixels")


def test_transparent_pixels_of_16_bits_are_refused(scene):
    source, path = scene
    path.write_bytes(png(wide(np.dstack([picture(3), GREYS])), 6, 16))
    both_say(source, "test", "is transparent at")
    path.write_bytes(png(wide(picture(3)), 2, 16, ((b"tRNS", bytes(6)),)))
    both_say(source, "test", "has a transparent colour")


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_that_hides_nothing_is_dropped(scene, mode):
    source, path = scene
    image = _transparent(mode, 255)
    image.save(path)
    np.testing.assert_array_equal(source.load("test", "0001TP_000000").image, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_and_palette_pictures_are_converted(scene, mode):
    source, path = scene
    image = Image.fromarray(picture(2)).convert(mode)
    image.save(path)
    np.testing.assert_array_equal(source.load("test", "0001TP_000000").image, np.asarray(image.convert("RGB")))


def test_a_colour_profile_is_ignored_as_in_the_official_loaders(scene):
    from PIL import ImageCms

    source, path = scene
    pixels = picture(2)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(pixels).save(path, icc_profile=profile)
    np.testing.assert_array_equal(source.load("test", "0001TP_000000").image, pixels)


def test_a_file_of_several_pictures_is_refused(scene):
    source, path = scene
    one, two = Image.fromarray(picture(1)), Image.fromarray(picture(2))
    for kind in ("PNG", "TIFF"):
        one.save(path, format=kind, save_all=True, append_images=[two])
        both_say(source, "test", "holds 2 pictures; keep one of them")


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(scene):
    source, path = scene
    for side in (10_000, 20_000):  # Pillow warns of the one and raises at the other
        data = bytearray(png(np.zeros((1, 1), np.uint8), 0, 8))
        data[16:24] = struct.pack(">II", side, side)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        path.write_bytes(data)
        both_say(source, "test", "pixels")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b""), "it is empty"),
        (lambda path: path.write_bytes(path.read_bytes()[:-3000]), "cannot be read"),
        (lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"), "it is none of PNG, JPEG, TIFF, WEBP, BMP"),
        (lambda path: (path.unlink(), path.symlink_to("gone.png")), "is a link to nothing"),
        (lambda path: (path.unlink(), path.symlink_to(path.name)), "cannot be read|link to nothing"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "is not a file"),
    ],
)
def test_a_file_that_is_no_picture_is_named(scene, damage, message):
    source, path = scene
    damage(path)
    both_say(source, "test", message)


def test_a_file_that_may_not_be_read_is_named_with_its_reason(scene, monkeypatch):
    source, path = scene
    usual = type(path).open

    def refusing(self, *arguments, **options):
        if self == path:
            raise PermissionError(13, "Permission denied")
        return usual(self, *arguments, **options)

    monkeypatch.setattr(type(path), "open", refusing)
    both_say(source, "test", r"cannot be read \(Permission denied\); check its permissions")


def test_a_checksum_that_only_the_check_would_find_stops_a_run_too(scene):
    source, path = scene
    data = bytearray(path.read_bytes())
    data[-14] ^= 1  # the checksum of the last data chunk, behind the pixels
    path.write_bytes(data)
    both_say(source, "test", "cannot be read")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_maps_of_few_bits_hold_ids_and_not_brightness(tmp_path, bits):
    ids = np.arange(16).reshape(2, 8) % 2**bits
    packed = np.packbits((ids[..., None] >> np.arange(bits)[::-1] & 1).astype(np.uint8).reshape(2, -1), axis=1)
    (tmp_path / "a.png").write_bytes(png(packed, 0, bits))
    np.testing.assert_array_equal(read_map(tmp_path / "a.png"), ids)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_maps_index_is_the_id(tmp_path, bits):
    ids = blocks(1, list(range(2**bits)[:12]))
    image = Image.fromarray(ids, "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255] * 5)
    image.save(tmp_path / "a.png", bits=bits)
    np.testing.assert_array_equal(read_map(tmp_path / "a.png"), ids)


def test_a_palette_of_the_greys_themselves_is_read_and_any_other_refused(tmp_path):
    ids = blocks(1, [0, 1, 2])
    image = Image.fromarray(ids, "P")
    image.putpalette([0, 0, 0, 1, 1, 1, 2, 2, 2])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_map(tmp_path / "a.png"), ids)
    image.putpalette([0, 0, 0, 120, 120, 120, 255, 255, 255])  # what optipng makes of the ids 0, 120 and 255
    image.save(tmp_path / "a.png")
    with pytest.raises(DataError, match="palette of greys that differ from their indices"):
        read_map(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF"])
def test_a_map_in_a_format_that_may_move_ids_is_refused(tmp_path, kind):
    Image.fromarray(blocks(1, [0, 9])).save(tmp_path / "a.png", format=kind)
    with pytest.raises(DataError, match="it is none of PNG"):
        read_map(tmp_path / "a.png")


def test_ids_beyond_8_bits_are_told_apart_from_small_ones(tmp_path):
    root = cityscapes_root(tmp_path, count=1)
    save(root / "gtFine/val/bonn/bonn_000000_000019_gtFine_labelIds.png", blocks(0, [7]).astype(np.uint16) + 256)
    both_say(Cityscapes(root), "val", "has label values 263, which cityscapes does not have")


def test_a_map_of_noise_is_one_short_line(tmp_path):
    root = cityscapes_root(tmp_path, count=1)
    noise = np.random.default_rng(0).integers(35, 60_000, (40, 60)).astype(np.uint16)
    save(root / "gtFine/val/bonn/bonn_000000_000019_gtFine_labelIds.png", noise)
    both_say(Cityscapes(root), "val", r"and \d+ more, which")


@pytest.mark.parametrize("value", [11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90])
def test_a_coco_stuff_map_that_counts_from_1_is_told_by_ids_that_never_occur(tmp_path, value):
    root = coco_spade_root(tmp_path)
    save(root / "train_label/000000000007.png", blocks(1, [0, 3, value]))
    both_say(CocoStuff(root), "train", rf"has label values {value} \(.*counts from 1")


def test_the_last_id_of_a_coco_stuff_map_that_counts_from_1_is_told(tmp_path):
    root = coco_spade_root(tmp_path)
    save(root / "train_label/000000000007.png", blocks(1, [0, 182]))
    both_say(CocoStuff(root), "train", "has label values 182.*counts from 1")


def test_a_cityscapes_map_has_no_licence_plate(tmp_path):
    root = cityscapes_root(tmp_path, count=1)
    save(root / "gtFine/val/bonn/bonn_000000_000019_gtFine_labelIds.png", blocks(0, [7, 34]))
    (problem,) = check(Cityscapes(root), progress=False).problems
    assert "has label values 34 (license plate)" in problem.what


@pytest.mark.parametrize("spoil", [lambda raw: raw.astype(np.uint8), lambda raw: (raw >> 8).astype(np.uint8)])
def test_instances_that_lost_their_upper_bits_contradict_the_labels(tmp_path, spoil):
    root = cityscapes_root(tmp_path, count=1)
    path = root / "gtFine/val/bonn/bonn_000000_000019_gtFine_instanceIds.png"
    save(path, spoil(np.asarray(Image.open(path))))
    both_say(Cityscapes(root), "val", r"contradicts the labels in .*labelIds\.png at \d+% of the pixels")


def test_instances_of_another_scene_contradict_the_labels(tmp_path):
    root = cityscapes_root(tmp_path)
    truth = root / "gtFine/val/bonn"
    one, two = (truth / f"bonn_00000{n}_000019_gtFine_instanceIds.png" for n in (0, 1))
    data = one.read_bytes(), two.read_bytes()
    one.write_bytes(data[1])
    two.write_bytes(data[0])
    assert len(check(Cityscapes(root), progress=False).problems) == 2
