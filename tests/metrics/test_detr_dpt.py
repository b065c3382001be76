"""DETR and DPT as detector and depth network: loaded from folders as published, checked, and nothing downloaded."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from bench.api.errors import MetricError
from bench.api.metric import Comparison, Metric, MetricContext
from bench.data.camvid import CAMVID, CamVid
from bench.data.cityscapes import CITYSCAPES, Cityscapes
from bench.data.coco_stuff import COCO_STUFF, CocoStuff
from metrics.depth import Depth
from metrics.evaluators.depth.dpt import DptEstimator
from metrics.evaluators.detectors.detr import DetrDetector
from metrics.objects import Objects
from tests.metrics.tiny_transformers import write_detr, write_dpt

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights that holds both networks."""
    folder = tmp_path_factory.mktemp("weights")
    write_detr(folder / "detr-resnet-50")
    write_dpt(folder / "dpt-large")
    return folder


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("something asks the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def copy(weights: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A network's folder of its own, inside a folder of weights of its own."""

    def copy(name: str) -> Path:
        return shutil.copytree(weights / name, tmp_path / "mine" / name)

    return copy


@pytest.fixture
def pictures() -> Tensor:
    """Two pictures of 8-bit values, (2, 3, 40, 64)."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 3, 40, 64), generator=generator) / 255


def as_files(pictures: Tensor) -> list[Image.Image]:
    return [Image.fromarray((p.permute(1, 2, 0) * 255).round().byte().numpy()) for p in pictures]


def test_detr_answers_as_transformers_does(weights: Path, pictures: Tensor) -> None:
    from transformers import DetrForObjectDetection, DetrImageProcessor

    folder = weights / "detr-resnet-50"
    network, processor = DetrForObjectDetection.from_pretrained(folder), DetrImageProcessor.from_pretrained(folder)
    with torch.inference_mode():
        outputs = network.eval()(**processor(images=as_files(pictures), return_tensors="pt"))
    found = processor.post_process_object_detection(outputs, 0.01, target_sizes=[(40, 64)] * 2)
    mine = DetrDetector.load("coco_stuff", weights, CPU).detect(pictures)
    assert len(mine) == 2
    for reference, detections in zip(found, mine, strict=True):
        order = reference["scores"].argsort(descending=True)
        kept = [k for k in order.tolist() if int(reference["labels"][k]) - 1 in CocoStuff.coco_classes.values()]
        assert len(detections) == len(kept) > 3
        np.testing.assert_allclose(detections.scores, reference["scores"][kept], atol=1e-6)
        np.testing.assert_allclose(detections.boxes, reference["boxes"][kept], atol=1e-3)
        assert detections.labels.tolist() == (reference["labels"][kept] - 1).tolist()
        assert (detections.boxes.dtype, detections.labels.dtype) == (np.float32, np.int64)


def test_detr_answers_in_the_labels_of_the_data_set(weights: Path, pictures: Tensor) -> None:
    for dataset, car, classes in (
        ("cityscapes", 26, (24, 26, 27, 28, 31, 32, 33)),
        ("camvid", 8, (8, 9, 10)),
        ("coco_stuff", 2, tuple(CocoStuff.coco_classes.values())),
    ):
        detector = DetrDetector.load(dataset, weights, CPU)
        labels = np.concatenate([found.labels for found in detector.detect(pictures)])
        assert detector.classes == classes
        assert set(labels.tolist()) <= set(classes)
        assert (labels == car).mean() > 0.5
        assert detector.protocol == "detr-resnet-50@shortest=48,longest=120"


def test_cocos_names_are_those_of_the_label_spaces() -> None:
    assert len(CocoStuff.coco_classes) == 80
    assert max(CocoStuff.coco_classes.values()) == 89  # the last category id is 90
    for name, label in CocoStuff.coco_classes.items():
        assert COCO_STUFF.names[label] == name
        assert label in COCO_STUFF.things
    for name, label in Cityscapes.coco_classes.items():
        assert CITYSCAPES.names[label] == name
        assert label in CITYSCAPES.things
    assert {CITYSCAPES.names[a]: CITYSCAPES.names[b] for a, b in Cityscapes.coco_answers.items()} == {"rider": "person"}
    assert {name: CAMVID.names[label] for name, label in CamVid.coco_classes.items()} == {
        "car": "car", "person": "pedestrian", "bicycle": "bicyclist",
    }  # fmt: skip


def test_dpt_answers_as_transformers_does(weights: Path, pictures: Tensor) -> None:
    from transformers import DPTForDepthEstimation, DPTImageProcessor

    folder = weights / "dpt-large"
    network, processor = DPTForDepthEstimation.from_pretrained(folder), DPTImageProcessor.from_pretrained(folder)
    with torch.inference_mode():
        outputs = network.eval()(**processor(images=as_files(pictures), return_tensors="pt"))
    found = F.interpolate(outputs.predicted_depth[:, None], (40, 64), mode="bicubic", align_corners=False)[:, 0]
    estimator = DptEstimator.load(weights, CPU)
    mine = estimator.estimate(pictures)
    np.testing.assert_allclose(mine, found, atol=1e-5)
    assert mine.std() > 1e-4
    assert estimator.inverse
    assert estimator.protocol == "dpt-large@48x48"


def test_a_published_file_of_an_old_version_loads(tmp_path: Path, copy: Callable[[str], Path]) -> None:
    """As facebook/detr-resnet-50 is: a backbone of timm that would be downloaded, and counts of batches. As
    Intel/dpt-large is: without the residual layer that is never asked."""
    folder = tmp_path / "mine" / "detr-resnet-50"
    write_detr(folder, timm=True)
    config = json.loads((folder / "config.json").read_text())
    old = {"backbone_config": None, "backbone": "resnet10t", "use_timm_backbone": True, "use_pretrained_backbone": True}
    (folder / "config.json").write_text(json.dumps({**config, **old}))
    tensors = load_file(folder / "model.safetensors")
    count = "model.backbone.conv_encoder.model.layer2.0.downsample.1.num_batches_tracked"
    save_file({**tensors, count: torch.tensor(7)}, folder / "model.safetensors", {"format": "pt"})
    assert DetrDetector.load("cityscapes", tmp_path / "mine", CPU).classes

    file = copy("dpt-large") / "model.safetensors"
    tensors = load_file(file)
    idle = [key for key in tensors if key.startswith("neck.fusion_stage.layers.0.residual_layer1.")]
    assert len(idle) == 4
    save_file({k: v for k, v in tensors.items() if k not in idle}, file, {"format": "pt"})
    assert DptEstimator.load(tmp_path / "mine", CPU)


def test_a_network_that_is_not_whole_is_refused(copy: Callable[[str], Path]) -> None:
    folder = copy("detr-resnet-50")
    file = folder / "model.safetensors"
    tensors = load_file(file)
    key = next(k for k in tensors if "bbox_predictor" in k)

    def refused(changed: dict[str, Tensor], message: str) -> None:
        save_file(changed, file, {"format": "pt"})
        with pytest.raises(MetricError, match=message):
            DetrDetector.load("cityscapes", folder.parent, CPU)

    refused({k: v for k, v in tensors.items() if k != key}, rf"does not hold facebook/detr-resnet-50 \(missing {key}")
    refused({**tensors, "extra.weight": torch.zeros(1)}, r"\(unexpected extra.weight\)")
    refused({**tensors, key: torch.zeros(1, 1)}, rf"\(mismatched {key}\)")
    refused({**tensors, key: tensors[key] * float("nan")}, rf"\(not finite {key}\)")
    file.write_bytes(b"no safetensors")
    with pytest.raises(
        MetricError, match=r"does not hold facebook/detr-resnet-50 \(.*\)\. Download config\.json, model"
    ):
        DetrDetector.load("cityscapes", folder.parent, CPU)


def test_pickled_weights_and_code_are_never_read(copy: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copy("dpt-large")
    marker = tmp_path / "executed"
    (folder / "code.py").write_text(f"open({str(marker)!r}, 'w')\n")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "code.Config", "AutoModel": "code.Model"}
    (folder / "config.json").write_text(json.dumps(config))
    assert DptEstimator.load(folder.parent, CPU)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(MetricError, match=r"weights file missing: dpt-large/model\.safetensors"):
        DptEstimator.load(folder.parent, CPU)
    assert not marker.exists()


def test_what_is_missing_is_said_with_where_to_get_it(
    context: MetricContext, copy: Callable[[str], Path], user_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = "Download config.json, model.safetensors and preprocessor_config.json from https://huggingface.co/"
    with pytest.raises(MetricError) as error:
        Objects(replace(context, dataset="cityscapes"))
    assert str(error.value).startswith("objects is skipped on `cityscapes`: weights file missing: detr-resnet-50/")
    assert f"{there}facebook/detr-resnet-50 into {user_weights / 'detr-resnet-50'}" in str(error.value)
    folder = copy("dpt-large")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(MetricError, match=r"dpt-large lacks preprocessor_config\.json\. Download"):
        Depth(replace(context, dataset="cityscapes", weights_dir=folder.parent))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MetricError, match="needs the package transformers: pip install transformers"):
        DetrDetector.load("cityscapes", copy("detr-resnet-50").parent, CPU)


def test_a_detector_of_other_classes_is_refused(copy: Callable[[str], Path]) -> None:
    folder = copy("detr-resnet-50")
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {key: {"car": "automobile"}.get(name, name) for key, name in config["id2label"].items()}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(MetricError, match=r"is no detector of COCO's classes: it lacks car"):
        DetrDetector.load("cityscapes", folder.parent, CPU)


def test_every_file_of_the_folder_is_part_of_the_identity(copy: Callable[[str], Path]) -> None:
    folder = copy("dpt-large")
    digests = {DptEstimator.load(folder.parent, CPU).sha256}
    for name in ("preprocessor_config.json", "config.json"):
        (folder / name).write_text((folder / name).read_text() + "\n")
        digests.add(DptEstimator.load(folder.parent, CPU).sha256)
    assert len(digests) == 3


def test_the_metrics_run_on_cityscapes(weights: Path, context: MetricContext, pictures: Tensor) -> None:
    city = replace(context, dataset="cityscapes", weights_dir=weights, label_space=CITYSCAPES)
    labels = torch.full((2, 40, 64), 7)
    instances = torch.zeros(2, 40, 64, dtype=torch.int32)
    labels[:, 5:30, 10:50], instances[:, 5:30, 10:50] = 25, 25001  # a rider is a person to DETR
    comparison = Comparison(pictures.flip(-1), pictures, labels, instances)
    objects, depth = Objects(city), Depth(city)

    def scores(metric: Metric, comparison: Comparison) -> dict[str, float]:
        return {score.metric: score.value for score in metric.summarise(metric.measure(comparison))}

    found = scores(objects, comparison)
    assert {"AP50[judge:car]", "AP50[person]", "recall[judge]"} <= set(found)
    assert "rider counts as person" in objects.protocol
    estimated = scores(depth, comparison)
    assert list(estimated) == ["AbsRel[judge]", "RMSE[judge]", "delta1[judge]"]
    assert np.isfinite(list(estimated.values())).all()
    same = Comparison(pictures, pictures, labels, instances)
    assert scores(objects, same)["recall[judge]"] == 1.0
    assert list(scores(depth, same).values()) == pytest.approx([0, 0, 1], abs=1e-9)
