"""The embedded depth network: its bins, what it is taught, what is made of its answers, and how good it is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.api.errors import MetricError
from bench.api.weights import METRIC_WEIGHTS
from metrics.evaluators.block_unet import to_blocks
from metrics.evaluators.depth import FARTHEST, valid_depth
from metrics.evaluators.depth.embedded import BINS, DepthNet, bin_loss, decode, depth_at, place_of
from metrics.evaluators.embedded import SPECS, EmbeddedDepth
from tests.metrics.evaluator_scenes import Blocks, Rendered, task_of, trained

CPU = torch.device("cpu")
STREETS = SPECS["depth"]["streets"]


def test_depths_that_are_no_depths_or_too_far_are_not_asked_for():
    depth = torch.tensor([float("nan"), float("inf"), -1.0, 0.0, 0.5, 80.0, 80.1, 1000.0])
    assert valid_depth(depth).tolist() == [False, False, False, False, True, True, False, False]


def test_places_among_the_bins_are_even_in_log_depth():
    step = (80 / 3) ** (1 / (BINS - 1))
    bins = 3 * step ** torch.arange(BINS)
    torch.testing.assert_close(place_of(bins), torch.arange(BINS).float(), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        depth_at(place_of(torch.tensor([3.0, 4.7, 33.3, 80.0]))), torch.tensor([3.0, 4.7, 33.3, 80.0])
    )
    assert place_of(torch.tensor([0.1, 1000.0])).tolist() == [0, BINS - 1]


def logits_of(**shares: float) -> torch.Tensor:
    """Logits (1, BINS) whose softmax has these shares at these bins (`b12=0.5`)."""
    probability = torch.full((1, BINS), 1e-9)
    for name, share in shares.items():
        probability[0, int(name[1:])] = share
    return probability.log()


def test_a_depth_is_the_mean_of_the_most_probable_neighbours():
    assert decode(logits_of(b12=1.0)).item() == pytest.approx(depth_at(torch.tensor(12.0)).item(), rel=1e-4)
    assert decode(logits_of(b12=0.75, b13=0.25)).item() == pytest.approx(depth_at(torch.tensor(12.25)).item(), rel=1e-4)
    # an edge: nearer with 0.45, farther with 0.55, and nothing at the mean of both
    edge = decode(logits_of(b5=0.45, b20=0.3, b21=0.25)).item()
    assert edge == pytest.approx(depth_at(torch.tensor((20 * 0.3 + 21 * 0.25) / 0.55)).item(), rel=1e-4)
    assert decode(logits_of(b0=1.0)).item() == pytest.approx(3, rel=1e-4)
    assert decode(logits_of(b32=1.0)).item() == pytest.approx(FARTHEST, rel=1e-4)
    assert decode(torch.zeros(2, 3, 4, BINS)).shape == (2, 3, 4)


def test_the_loss_is_least_where_the_answer_is_right():
    """Cross-entropy with a depth between two bins as part of each, written out; its minimum decodes to the depth."""
    depth = 2 + 90 * torch.rand(2, 4, 6, 4, generator=torch.Generator().manual_seed(0))
    logits = torch.randn(2, 4, 6, 4, BINS, generator=torch.Generator().manual_seed(1))
    expected = []
    for row, where in zip(logits.log_softmax(-1).flatten(0, -2), place_of(depth).flatten().tolist(), strict=True):
        lower = min(math.floor(where), BINS - 2)
        expected.append(-(1 - (where - lower)) * row[lower].item() - (where - lower) * row[lower + 1].item())
    assert bin_loss(logits, depth).item() == pytest.approx(np.mean(expected), rel=1e-4)

    distance = (place_of(depth)[..., None] - torch.arange(BINS)).abs()
    right = (1 - distance).clamp(min=1e-9).log()
    assert bin_loss(right, depth) < bin_loss(right + 0.1 * logits, depth) < bin_loss(logits, depth)
    torch.testing.assert_close(decode(right), depth.clamp(3, FARTHEST), rtol=1e-3, atol=0)


def test_pictures_depths_and_classes_are_mirrored_together():
    """A network that names each pixel's class and depth from its colour alone is right on mirrored pictures too."""
    scenes = Blocks(8, 0).batch(range(8))
    depth = torch.where(scenes.labels == 7, 40.0, torch.where(scenes.labels == 26, 10.0, 4.0))
    there, mirrored = replace(scenes, depth=depth), replace(scenes, depth=depth.flip(-1))

    class Seeing(torch.nn.Module):
        def forward(self, images):
            redness = to_blocks(images[:, 0] - images[:, 2])
            red, blue = redness > 0.25, redness < -0.25
            place = place_of(torch.where(red, 10.0, torch.where(blue, 4.0, 40.0)))
            kind = torch.where(red, 13, torch.where(blue, 11, 0))  # car, person, road among the evaluated
            logits = (1 - (place[..., None] - torch.arange(BINS)).abs()).clamp(min=1e-9).log()
            return logits, 30.0 * torch.nn.functional.one_hot(kind, 19)

    task = task_of(STREETS)
    right = task.loss(Seeing(), there, torch.Generator().manual_seed(3))
    assert right < 0.2 * task.loss(Seeing(), mirrored, torch.Generator().manual_seed(3))


def test_scenes_without_depth_are_refused():
    scene = replace(Blocks(4, 0).batch(range(4)), depth=None)
    with pytest.raises(MetricError, match="no depth"):
        task_of(STREETS).step(scene, torch.Generator(), 0)


def test_training_learns_the_ground(tmp_path):
    spec = replace(STREETS, size=Blocks.size, widths=(12, 16, 16, 16))
    path = trained(spec, tmp_path, 80, Blocks(64, 1), batch_size=8)
    assert task_of(spec).evaluate(path, Blocks(16, 2))["delta1"] > 0.9


@pytest.fixture(scope="module")
def shipped() -> EmbeddedDepth:
    return EmbeddedDepth(STREETS, METRIC_WEIGHTS / STREETS.weights_file, CPU)


def test_the_shipped_network_knows_how_far_things_are(shipped):
    errors = task_of(STREETS).evaluate(shipped.weights, Rendered(40))
    assert errors["delta1, aligned"] >= 0.9
    assert errors["AbsRel, aligned"] <= 0.12
    card = (METRIC_WEIGHTS / STREETS.weights_file).with_suffix(".md").read_text()
    assert "500 test scenes" in card
    assert (METRIC_WEIGHTS / STREETS.weights_file).stat().st_size <= 1.5e6


def test_answers_are_inverse_depths_in_metres(shipped):
    scenes = Rendered(8).batch(range(8))
    inverse = shipped.estimate(scenes.image)
    assert shipped.inverse
    assert inverse.shape == scenes.labels.shape
    assert inverse.dtype == torch.float32
    assert 1 / FARTHEST - 1e-6 <= inverse.min() < inverse.max() < 1 / 3
    sky = scenes.labels == 23
    assert (1 / inverse[sky]).median() > 75
    valid = valid_depth(scenes.depth)
    ratio = (inverse * scenes.depth)[valid]
    assert 0.95 < ratio.median() < 1.05


def test_a_pictures_depth_is_its_own(shipped):
    """Alone to the last bit, in a batch but for the last bits of its convolutions (`metrics.pictures.PerPicture`)."""
    images = Rendered(6).batch(range(6)).image
    alone, again = (torch.cat([shipped.estimate(image[None]) for image in images]) for _ in range(2))
    np.testing.assert_array_equal(alone, again)
    # where two depths are equally probable those bits may decide between them
    assert (shipped.estimate(images) / alone - 1).abs().gt(1e-3).float().mean() < 1e-3


def test_pictures_of_another_size_have_depth_at_their_own(shipped):
    images = Rendered(2).batch(range(2)).image
    large = torch.nn.functional.interpolate(images, (128, 384), mode="nearest")
    enlarged = shipped.estimate(large)
    assert enlarged.shape == (2, 128, 384)
    ratio = enlarged[:, ::2, ::3] / shipped.estimate(images)
    assert 0.97 < ratio.median() < 1.03


def test_folding_the_normalisation_changes_no_answer():
    torch.manual_seed(0)
    network = DepthNet(STREETS)
    for _ in range(3):
        network(torch.rand(4, 3, 64, 128))  # moves the running statistics away from 0 and 1
    pictures = torch.rand(2, 3, 64, 128)
    with torch.no_grad():
        expected = network.eval()(pictures)
        assert expected.shape == (2, 32, 64, 4, BINS)
        torch.testing.assert_close(network.fuse()(pictures), expected, atol=1e-4, rtol=1e-4)
