"""LPIPS: the distances published with it, and what the trunk cannot take."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.api.errors import MetricError
from bench.api.files import file_digest
from bench.api.metric import Comparison, MetricContext
from bench.data.cityscapes import CITYSCAPES
from metrics import lpips as module
from metrics.evaluators.published import VGG16
from metrics.lpips import WEIGHTS_FILE, Lpips, LpipsVgg
from tests.metrics.vgg_state import vgg_state

DATA = Path(__file__).parent / "data"


@pytest.fixture
def metric(context) -> Lpips:
    return Lpips(context)


def read(name: str) -> torch.Tensor:
    with Image.open(DATA / f"{name}.png") as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 255


def compare(generated: torch.Tensor, original: torch.Tensor) -> Comparison:
    nothing = torch.zeros(len(generated), *generated.shape[-2:], dtype=torch.int32)
    return Comparison(generated, original, labels=nothing.long(), instances=nothing)


def test_the_published_distances_of_the_example_pairs(metric):
    """0.7219 and 0.1376: `lpips_2imgs.py -p0 imgs/ex_ref.png -p1 imgs/ex_p0.png` (and `ex_p1`) of the LPIPS project."""
    measured = metric.measure(compare(torch.cat([read("ex_p0"), read("ex_p1")]), read("ex_ref").repeat(2, 1, 1, 1)))
    np.testing.assert_allclose(measured["distance"], [0.7219, 0.1376], atol=1e-4)


def test_scores_are_the_mean_and_the_spread_over_scenes(metric, make_comparison):
    measured = metric.measure(make_comparison(scenes=3))
    (score,) = metric.summarise(measured)
    distances = metric.per_scene(measured)["LPIPS"]
    assert score.metric == "LPIPS"
    assert score.value == pytest.approx(sum(distances) / 3)
    assert score.std == pytest.approx(np.std(distances, ddof=1))
    assert score.scenes == 3
    assert (distances > 0.01).all()


def test_equal_pictures_have_no_distance(metric, make_comparison):
    comparison = make_comparison(scenes=1)
    measured = metric.measure(replace(comparison, generated=comparison.original))
    assert measured["distance"][0] == 0
    assert metric.summarise(measured)[0].std is None


def test_a_scene_has_the_same_distance_in_any_batch(metric, make_comparison):
    comparison = make_comparison(scenes=3)
    together = metric.measure(comparison)["distance"]
    alone = [
        metric.measure(compare(g[None], o[None]))["distance"][0]
        for g, o in zip(comparison.generated, comparison.original, strict=True)
    ]
    np.testing.assert_array_equal(together, alone)


def test_kept_features_of_originals_give_the_fresh_distances_and_another_original_its_own(context, make_comparison):
    """To the last bit, where the second cell has originals of the first, and one that was changed since."""
    comparison, used = make_comparison(scenes=3), Lpips(context)
    used.measure(comparison)
    changed = comparison.original.clone()
    changed[1, 0, 5, 5] = 1 - changed[1, 0, 5, 5]
    for original in (comparison.original, changed):
        other = replace(comparison, generated=comparison.generated.flip(-1), original=original)
        kept, fresh = (one.measure(other)["distance"] for one in (used, Lpips(context)))
        np.testing.assert_array_equal(kept, fresh)
    assert kept[1] != used.measure(replace(other, original=comparison.original))["distance"][1]


def test_a_distance_does_not_depend_on_how_pictures_lie_in_memory(metric, make_comparison):
    comparison = make_comparison(scenes=2)
    turned = [one.contiguous(memory_format=torch.channels_last) for one in (comparison.generated, comparison.original)]
    rows = [one.contiguous() for one in turned]
    distances = [metric.measure(compare(*pictures))["distance"] for pictures in (turned, rows)]
    np.testing.assert_array_equal(*distances)


def test_the_smallest_picture_is_measured_and_smaller_ones_are_refused(metric):
    side = Lpips.smallest_side
    measured = metric.measure(compare(torch.rand(1, 3, side, 40), torch.rand(1, 3, side, 40)))
    assert np.isfinite(measured["distance"]).all()
    with pytest.raises(MetricError, match=f"{side} pixels a side or more, not 40x{side - 1}"):
        metric.measure(compare(torch.rand(1, 3, 40, side - 1), torch.rand(1, 3, 40, side - 1)))


def test_building_it_neither_draws_from_nor_seeds_the_global_generator(context):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Lpips(context)
    torch.testing.assert_close(torch.rand(3), expected)


def test_a_broken_weights_file_is_named(in_folder, tmp_path):
    (tmp_path / WEIGHTS_FILE).write_bytes(b"not safetensors at all")
    with pytest.raises(MetricError, match=WEIGHTS_FILE):
        Lpips(in_folder(tmp_path)).prepare()


def test_no_scene_has_no_value(metric):
    with pytest.raises(MetricError, match="no scenes"):
        metric.summarise({"distance": np.zeros(0)})


@pytest.fixture(scope="module")
def vgg_folder(tmp_path_factory) -> Iterator[Path]:
    """A folder where a random file passes for torchvision's, in the old format that the published one has."""
    folder = tmp_path_factory.mktemp("vgg")
    torch.save(vgg_state(), folder / VGG16.file, _use_new_zipfile_serialization=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "VGG16", replace(VGG16, sha256=file_digest(folder / VGG16.file)))
        yield folder


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
def test_vgg_equals_the_lpips_package_on_the_same_weights(vgg_folder):
    import lpips

    with torch.device("meta"):  # without the classifier's 124 million random numbers
        reference = lpips.LPIPS(net="vgg", pnet_rand=True, pretrained=False, verbose=False)
    reference = reference.to_empty(device="cpu").eval()
    reference.scaling_layer = lpips.ScalingLayer()
    heads = Path(lpips.__file__).parent / "weights" / "v0.1" / "vgg.pth"
    missing = reference.load_state_dict(torch.load(heads, "cpu", weights_only=True), strict=False).missing_keys
    assert not any(key.startswith("lin0") for key in missing)
    reference.lins = torch.nn.ModuleList(getattr(reference, f"lin{number}") for number in range(5))
    state = vgg_state()
    for number in range(1, 6):
        for index, layer in getattr(reference.net, f"slice{number}").named_children():
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight.data = state[f"features.{index}.weight"]
                layer.bias.data = state[f"features.{index}.bias"]
    metric = LpipsVgg(MetricContext("streets", CITYSCAPES, weights_dir=vgg_folder))
    one, other = torch.rand(2, 3, 32, 48), torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        expected = reference(one, other, normalize=True).flatten()
    distance = metric.measure(compare(one, other))["distance"]
    np.testing.assert_allclose(distance, expected, rtol=1e-5)
    assert (distance > 1e-3).all()
    assert metric.protocol == "lpips=0.1|net=vgg"
    (score,) = metric.summarise({"distance": distance})
    assert (score.metric, list(metric.per_scene({"distance": distance}))) == ("LPIPS[vgg]", ["LPIPS[vgg]"])
    digests = f"{file_digest(vgg_folder / VGG16.file)} {file_digest(heads)}"
    assert metric.weights_digest() == hashlib.sha256(digests.encode()).hexdigest()


def test_the_smallest_picture_of_vgg(vgg_folder):
    metric = LpipsVgg(MetricContext("streets", CITYSCAPES, weights_dir=vgg_folder))
    small = torch.rand(1, 3, 16, 16)
    assert np.isfinite(metric.measure(compare(small, small.flip(-1)))["distance"]).all()
    with pytest.raises(MetricError, match=r"LPIPS\[vgg\] needs pictures of 16 pixels a side or more, not 15x16"):
        metric.measure(compare(small[:, :, :15], small[:, :, :15]))


def test_without_vggs_file_the_message_says_which_from_where_and_put_where(context, user_weights):
    with pytest.raises(MetricError) as caught:
        LpipsVgg(context)
    for part in ("vgg16-397923af.pth", "https://download.pytorch.org/models/", str(user_weights)):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("features.28.weight"), "the 13 convolutions of LPIPS's trunk `vgg`: it has 12"),
        (lambda state: state.pop("features.0.bias"), r"lacks 'features\.0\.bias'"),
        (lambda state: state["features.5.bias"].fill_(float("nan")), "NaN or infinity"),
        (lambda state: state.update({"features.0.weight": torch.zeros(64, 3, 5, 5)}), "does not hold the 13"),
    ],
)
def test_a_file_without_vggs_convolutions_is_refused(tmp_path, monkeypatch, context, change, message):
    state = vgg_state()
    change(state)
    torch.save(state, tmp_path / VGG16.file)
    monkeypatch.setattr(module, "VGG16", replace(VGG16, sha256=file_digest(tmp_path / VGG16.file)))
    with pytest.raises(MetricError, match=message):
        LpipsVgg(replace(context, weights_dir=tmp_path)).prepare()
