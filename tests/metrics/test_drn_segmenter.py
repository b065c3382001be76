"""The DRN segmenter for Cityscapes: from pictures to mIoU, its resize rules by name, and missing weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

import metrics.evaluators.segmenters.drn as drn
from bench.api.errors import MetricError
from bench.api.files import file_digest
from bench.api.metric import MetricContext
from bench.api.registry import DATASETS
from metrics.evaluators.labels import EVALUATED_IDS, IGNORED, train_ids
from metrics.evaluators.registry import SEGMENTERS, load_segmenter, names
from metrics.evaluators.segmenters.drn import DrnSegmenter
from metrics.miou import MeanIoU, class_counts, mean_iou
from tests.metrics.drn_data import golden, write_filled

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_filled("drn_d_22", tmp_path_factory.mktemp("weights"))


@pytest.fixture
def cityscapes(context: MetricContext, weights: Path) -> MetricContext:
    return replace(context, dataset="cityscapes", evaluator="drn_d_22@generated", weights_dir=weights.parent)


def test_the_segmenter_sees_what_the_official_network_sees(weights: Path) -> None:
    reference = golden("drn_d_22")
    picture = torch.from_numpy(reference["image_uint8"]).permute(2, 0, 1)[None] / 255
    named = DrnSegmenter("drn_d_22", "generated", weights, CPU).predict(picture)
    assert named.dtype == torch.uint8
    expected = np.array(EVALUATED_IDS)[reference["classes"]]
    # three pixels of the golden picture are undecided within 2e-5
    assert (named[0].numpy() != expected).sum() <= 3
    assert len(np.unique(expected)) == 19


def test_miou_on_cityscapes_equals_the_definition(cityscapes: MetricContext, weights: Path, make_comparison) -> None:
    metric, comparison = MeanIoU(cityscapes), make_comparison(scenes=2)
    segmenter = DrnSegmenter("drn_d_22", "generated", weights, CPU)
    truth, predicted = train_ids(comparison.labels), train_ids(segmenter.predict(comparison.generated))
    original = train_ids(segmenter.predict(comparison.original))
    measured = metric.measure(comparison)
    scores = {score.metric: score.value for score in metric.summarise(measured)}

    def over_both_scenes(predicted: np.ndarray, truth: np.ndarray) -> float:
        return float(mean_iou(class_counts(predicted, truth, 19, IGNORED).sum(axis=0)))

    assert scores["mIoU"] == over_both_scenes(predicted, truth) > 0
    assert scores["mIoU[original]"] == over_both_scenes(original, truth)
    assert scores["mIoU[judge]"] == over_both_scenes(predicted, np.where(truth == IGNORED, IGNORED, original))
    assert metric.weights_digest() == segmenter.sha256


def test_every_rule_has_its_own_name_in_protocol_and_identity(cityscapes: MetricContext) -> None:
    rules = {rule: MeanIoU(replace(cityscapes, evaluator=f"drn_d_22@{rule}")) for rule in ("generated", "full")}
    for rule, metric in rules.items():
        assert f"judge=DRN-D-22@{rule}|19 classes" in metric.protocol
    assert rules["generated"].identity() != rules["full"].identity()


def test_the_full_rule_judges_large_pictures_at_the_labels_pixels(
    weights: Path, make_comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drn, "FULL_SIZE", (128, 256))
    pictures = make_comparison(scenes=1).original
    large = F.interpolate(pictures, (128, 256), mode="bicubic", antialias=True).clamp(0, 1)
    generated, full = (DrnSegmenter("drn_d_22", rule, weights, CPU) for rule in ("generated", "full"))
    named = full.predict(pictures)
    assert torch.equal(named, generated.predict(large)[:, 1::2, 1::2])
    assert not torch.equal(named, generated.predict(pictures))


def test_full_size_is_cityscapes_own() -> None:
    assert drn.FULL_SIZE == (1024, 2048)


@pytest.mark.parametrize("size", [(512, 1024), (256, 512), (128, 256)])
def test_labels_and_judged_pixels_lie_in_one_raster(size: tuple[int, int]) -> None:
    """The harness's labels came from full size by Pillow's nearest: `full` has to read the segmenter's map there."""
    ids = np.random.default_rng(0).integers(0, 35, (1024, 2048), dtype=np.uint8)
    labels = np.asarray(Image.fromarray(ids).resize(size[::-1], Image.Resampling.NEAREST))
    rows, columns = (drn._raster(length, full, CPU) for length, full in zip(size, drn.FULL_SIZE, strict=True))
    np.testing.assert_array_equal(ids[rows[:, None], columns], labels)


def test_sizes_that_the_network_would_change_are_refused(weights: Path) -> None:
    segmenter = DrnSegmenter("drn_d_22", "generated", weights, CPU)
    with pytest.raises(MetricError, match=r"multiples of 8, these are 60x128.*\[data.cityscapes\].*`full`"):
        segmenter.predict(torch.rand(1, 3, 60, 128))


def test_missing_weights_say_which_file_from_where_and_how(context: MetricContext, user_weights: Path) -> None:
    with pytest.raises(MetricError) as error:
        MeanIoU(replace(context, dataset="cityscapes"))
    told = str(error.value)
    assert told.startswith("mIoU is skipped on `cityscapes`: weights file missing: drn_d_105-cityscapes.safetensors")
    assert str(user_weights) in told
    assert "github.com/fyu/drn" in told
    assert told.endswith("bench weights import drn_d_105 drn-d-105_ms_cityscapes.pth --dataset cityscapes")


def test_imported_weights_are_found_where_the_import_puts_them(
    context: MetricContext, user_weights: Path, weights: Path
) -> None:
    from bench.api.weights import user_weights_dir

    assert user_weights_dir() == user_weights
    (user_weights / weights.name).symlink_to(weights)
    metric = MeanIoU(replace(context, dataset="cityscapes", evaluator="drn_d_22@generated"))
    assert metric.weights_digest() == file_digest(weights)


def test_segmenters_by_data_set_and_name() -> None:
    assert names("segmenter", "cityscapes") == (
        "drn_d_105@generated", "drn_d_105@full", "drn_d_22@generated", "drn_d_22@full",
    )  # fmt: skip
    assert names("segmenter", "streets") == ("streets", "streets_wide")
    assert names("segmenter", "stuff") == ("stuff",)
    assert names("segmenter", "coco_stuff") == ("maskformer",)
    every = {name for dataset in DATASETS.built_in() for name in names("segmenter", dataset)}
    assert every == set(SEGMENTERS)


@pytest.mark.parametrize(
    ("dataset", "name", "told"),
    [
        ("cityscapes", "drn_d_105", "no segmenter 'drn_d_105' for it; did you mean 'drn_d_105@"),
        ("cityscapes", "streets", "no segmenter 'streets' for it; .*known: drn_d_105@generated"),
        ("streets", "drn_d_22@full", "no segmenter 'drn_d_22@full' for it; known: streets"),
        ("streets", "mmsegm:x", "no segmenter 'mmsegm:x' for it; known: streets"),
        ("elsewhere", None, "no segmenter of its 19 classes comes with the project. Train one: .*; or name one"),
        ("elsewhere", "streets", "no segmenter is known for it"),
    ],
)
def test_a_segmenter_is_never_taken_for_another_data_set(
    cityscapes: MetricContext, dataset: str, name: str | None, told: str
) -> None:
    with pytest.raises(MetricError, match=told):
        load_segmenter(replace(cityscapes, dataset=dataset, evaluator=name))


def test_other_evaluated_classes_than_the_segmenters_are_refused(cityscapes: MetricContext) -> None:
    with pytest.raises(MetricError, match="evaluates"):
        MeanIoU(replace(cityscapes, label_space=replace(cityscapes.label_space, evaluated=EVALUATED_IDS[:-1])))


def test_files_that_would_give_wrong_numbers_are_refused_with_the_remedy(weights: Path, tmp_path: Path) -> None:
    state = load_file(weights)
    wrong = tmp_path / "wrong.safetensors"

    def told(name: str) -> str:
        with pytest.raises(MetricError) as error:
            DrnSegmenter(name, "generated", wrong, CPU).predict(torch.zeros(1, 3, 8, 8))
        assert f"bench weights import {name}" in str(error.value)
        return str(error.value)

    save_file({**state, "seg.bias": state["seg.bias"] * torch.nan}, wrong)
    assert "tensor 'seg.bias' holds NaN" in told("drn_d_22")
    save_file(state, wrong)
    assert "does not hold DRN-D-105" in told("drn_d_105")
    wrong.write_bytes(weights.read_bytes()[:5000])
    assert "does not hold DRN-D-22" in told("drn_d_22")
