"""The hybrid: thumbnails there and back, what is sent, what is shown of it, and its training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.api.errors import ImpossibleError
from bench.api.method import MethodContext, Received
from bench.api.scenes import Scene
from bench.api.specs import all_methods
from bench.api.tensors import write_weights
from bench.api.weights import weights_name
from bench.data.cityscapes import CITYSCAPES
from methods.hybrid import Hybrid
from methods.hybrid.task import HybridTask
from methods.hybrid.thumbnail import LEVELS, decode, encode, grow, shrink, size_of

HEIGHT, WIDTH = 64, 128


def scenes(count: int = 2) -> Scene:
    """Pictures of a few colours over maps of a few labels."""
    generator = torch.Generator().manual_seed(0)
    image = torch.nn.functional.interpolate(torch.rand(count, 3, 4, 8, generator=generator), (HEIGHT, WIDTH))
    labels = torch.randint(0, 30, (count, 4, 8), generator=generator).repeat_interleave(16, 1).repeat_interleave(16, 2)
    blank = torch.zeros_like(labels, dtype=torch.int32)
    return Scene(image, labels, blank, None, tuple(map(str, range(count))), CITYSCAPES)


@pytest.fixture(scope="module")
def method(tmp_path_factory: pytest.TempPathFactory) -> Hybrid:
    """One with a random network, that takes two steps."""
    context = MethodContext("streets", CITYSCAPES, HEIGHT, WIDTH, weights_dir=tmp_path_factory.mktemp("weights"))
    assert context.weights_dir is not None
    torch.manual_seed(0)
    network = Hybrid.build_network(context)
    network.reset_parameters()
    with torch.no_grad():  # outputs that depend on the maps, which a new network's do not
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    write_weights(context.weights_dir / weights_name("hybrid", context), network.state_dict(), {})
    return Hybrid(context, {"steps": 2, "codec": "label-ctx"})


def rngs(count: int = 2) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


@pytest.mark.parametrize("rows", [4, 8, 16])
def test_a_thumbnail_comes_back_from_its_bytes(rows: int) -> None:
    brightness, colour = (one[0].numpy() for one in shrink(scenes().image, rows))
    data = encode(brightness, colour)
    again = decode(data, *brightness.shape)
    np.testing.assert_array_equal(again[0], brightness)
    np.testing.assert_array_equal(again[1], colour)


def test_random_thumbnails_come_back_too() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        brightness, colour = generator.integers(0, LEVELS, (8, 16)), generator.integers(0, LEVELS, (2, 4, 8))
        again = decode(encode(brightness, colour), 8, 16)
        np.testing.assert_array_equal(again[0], brightness)
        np.testing.assert_array_equal(again[1], colour)


def test_damaged_bytes_are_some_thumbnail_or_an_error() -> None:
    generator = np.random.default_rng(0)
    for length in (0, 1, 7, 60, 300):
        try:
            brightness, colour = decode(generator.bytes(length), 8, 16)
        except ValueError:
            continue
        assert brightness.min() >= 0 <= colour.min()
        assert max(brightness.max(), colour.max()) < LEVELS


def test_a_uniform_picture_has_its_colour_back() -> None:
    for colour in ((1.0, 0.0, 0.0), (0.2, 0.6, 0.3), (0.5, 0.5, 0.5), (0.0, 0.0, 0.0)):
        image = torch.tensor(colour)[None, :, None, None].expand(1, 3, 64, 128)
        back = (grow(*shrink(image, 8), 64, 128) + 1) / 2
        assert (back - image).abs().max() < 2 / LEVELS


def test_what_is_grown_is_near_the_pictures_means() -> None:
    image = scenes(1).image
    back = (grow(*shrink(image, 8), HEIGHT, WIDTH) + 1) / 2
    coarse = torch.nn.functional.adaptive_avg_pool2d(image, (4, 8))
    seen = torch.nn.functional.adaptive_avg_pool2d(back, (4, 8))
    assert (seen - coarse).abs().mean() < 0.08


def test_rows_that_do_not_fit_are_refused(method: Hybrid) -> None:
    assert size_of(64, 128, 8) == (8, 16)
    for rows in (0, 3, 7, 48):
        with pytest.raises(ValueError, match=f"a thumbnail of {rows} rows does not fit a picture of 64x128"):
            size_of(64, 128, rows)
    with pytest.raises(ImpossibleError, match="a thumbnail of 5 rows does not fit"):
        Hybrid(method.context, {"thumbnail": 5})


def test_it_is_run_by_name() -> None:
    assert "hybrid" not in all_methods()[0]


def test_the_payload_is_the_thumbnails_and_sdms(method: Hybrid) -> None:
    payloads = method.encode(scenes())
    for payload, (brightness, colour), sdm in zip(
        payloads, method._thumbnails(scenes()), super(Hybrid, method).encode(scenes()), strict=True
    ):
        small = encode(brightness, colour)
        assert payload == len(small).to_bytes(2, "big") + small + (sdm or b"")
    lengths = [len(payload or b"") for payload in payloads]
    assert method.encode(scenes(), min(lengths)) == tuple(
        p if len(p or b"") <= min(lengths) else None for p in payloads
    )


def test_bytes_and_clean_symbols_show_the_same_picture(method: Hybrid) -> None:
    sent = method.send(scenes())
    shown = method.receive(Received(sent.symbols, sent.side_info), rngs())
    decoded = method.decode(method.encode(scenes()), rngs())
    torch.testing.assert_close(shown, decoded, atol=1e-5, rtol=1e-4)
    assert all(float(one.min()) >= 0 and float(one.max()) <= 1 for one in sent.symbols)


def test_the_thumbnail_changes_the_picture_and_a_lost_block_shows_the_null_label(method: Hybrid) -> None:
    scene = scenes()
    payloads = method.encode(scene)
    other = method.encode(replace(scene, image=1 - scene.image))
    lost = method.decode([None, payloads[1]], rngs())
    shown, changed = method.decode(payloads, rngs()), method.decode(other, rngs())
    assert not torch.allclose(shown, changed, atol=1e-3)
    blank = torch.zeros(1, method.num_channels + 3, HEIGHT, WIDTH)
    torch.testing.assert_close(lost[:1], method.generate(blank, rngs(1)), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(lost[1], shown[1], atol=1e-5, rtol=1e-4)


def test_its_training_sees_thumbnails_of_all_sizes_beside_clean_maps(method: Hybrid) -> None:
    task = Hybrid.training_task(method.context)
    assert isinstance(task, HybridTask)
    scene, channels = scenes(), method.num_channels
    found = {
        tuple(task.training_maps(scene, torch.Generator().manual_seed(seed), 0)[:, channels:].flatten().tolist())
        for seed in range(12)
    }
    expected = {tuple(grow(*shrink(scene.image, rows), HEIGHT, WIDTH).flatten().tolist()) for rows in (4, 8, 16)}
    assert found == expected
    assert task.recipe()["thumbnails"] == [4, 8, 16]
    assert task.step(scene, torch.Generator().manual_seed(0), 0)["loss"] > 0
