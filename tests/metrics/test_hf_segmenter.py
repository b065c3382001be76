"""Judges `hf:FOLDER`: tiny untrained networks of transformers, saved and loaded through the real code path."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bench.api.errors import MetricError
from bench.api.metric import MetricContext
from bench.data.ade20k import ADE20K
from bench.data.camvid import CAMVID
from bench.data.cityscapes import CITYSCAPES
from bench.data.coco_stuff import COCO_STUFF
from metrics.evaluators.labels import EVALUATED_IDS, NO_LABEL
from metrics.evaluators.published import MASKFORMER
from metrics.evaluators.registry import load_segmenter
from metrics.evaluators.segmenters.huggingface import HfSegmenter
from metrics.miou import MeanIoU
from tests.metrics.tiny_transformers import coco_classes, maskformer, naming

transformers = pytest.importorskip("transformers")

#: As the configurations of published Cityscapes networks name the 19 classes.
CLASSES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip


def segformer(folder: Path, classes: Sequence[str] = CLASSES, **processor: object) -> Path:
    """A SegFormer of 10 k parameters whose answers vary over the picture."""
    torch.manual_seed(1)
    config = transformers.SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[8, 16], patch_sizes=[3, 3], strides=[2, 2],
        num_attention_heads=[1, 2], mlp_ratios=[2, 2], decoder_hidden_size=16, **naming(classes),
    )  # fmt: skip
    network = transformers.SegformerForSemanticSegmentation(config)
    network.decode_head.classifier.weight.data.mul_(200)
    network.save_pretrained(folder)
    settings = {"size": {"height": 32, "width": 64}, **processor}
    transformers.SegformerImageProcessor(do_reduce_labels=False, **settings).save_pretrained(folder)
    return folder


def cityscapes(judge: str | None = None) -> MetricContext:
    return MetricContext("cityscapes", CITYSCAPES, evaluator=judge)


def coco_stuff(judge: str | None = None) -> MetricContext:
    return MetricContext("coco_stuff", COCO_STUFF, evaluator=judge)


def pictures(count: int = 2, height: int = 48, width: int = 96) -> torch.Tensor:
    blocks = torch.rand(count, 3, height // 8, width // 8, generator=torch.Generator().manual_seed(4))
    pixels = blocks.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    return (pixels * 255).round() / 255


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return segformer(tmp_path_factory.mktemp("judge") / "segformer-tiny")


def test_answers_are_those_of_transformers_own_postprocessing(folder):
    judge = load_segmenter(cityscapes(f"hf:{folder}"))
    images = pictures()
    maps = judge.predict(images)
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    network = transformers.SegformerForSemanticSegmentation.from_pretrained(folder).eval()
    with torch.no_grad():
        outputs = network(**processor(images=list((images * 255).byte()), return_tensors="pt"))
    expected = processor.post_process_semantic_segmentation(outputs, target_sizes=[(48, 96)] * 2)
    ids = np.array(EVALUATED_IDS)[torch.stack(expected).numpy()]
    np.testing.assert_array_equal(maps.numpy(), ids)
    assert len(np.unique(ids)) > 2, "the judge has to say several things for this test to mean anything"
    assert maps.dtype == torch.uint8
    assert judge.evaluated == EVALUATED_IDS
    assert judge.protocol == "SegformerForSemanticSegmentation segformer-tiny@32x64"


def test_a_picture_is_judged_alike_in_any_batch(folder):
    judge = load_segmenter(cityscapes(f"hf:{folder}"))
    images = pictures(3)
    torch.testing.assert_close(judge.predict(images)[1:2], judge.predict(images[1:2]))


def test_miou_runs_on_it_and_keeps_its_name_with_the_number(folder, make_comparison):
    metric = MeanIoU(cityscapes(f"hf:{folder}"))
    scores = {s.metric: s.value for s in metric.summarise(metric.measure(make_comparison(scenes=2)))}
    assert all(0 <= value <= 1 for value in scores.values())
    assert "judge=SegformerForSemanticSegmentation segformer-tiny@32x64|19 classes, mIoU[35]" in metric.protocol


def test_on_cityscapes_one_score_leaves_no_label_and_no_pixel_out(folder, make_comparison):
    metric = MeanIoU(cityscapes(f"hf:{folder}"))
    comparison = make_comparison(scenes=2)
    measured = metric.measure(comparison)
    scores = {s.metric: s for s in metric.summarise(measured)}
    whole = [name for name in scores if not name.startswith("IoU[")]
    assert whole == ["mIoU", "mIoU[judge]", "mIoU[original]", "mIoU[35]"]
    named = load_segmenter(cityscapes(f"hf:{folder}")).predict(comparison.generated).numpy()
    truth = comparison.labels.numpy()
    unions = {label: ((named == label) | (truth == label)).sum() for label in range(35)}
    iou = {n: ((named == n) & (truth == n)).sum() / union for n, union in unions.items() if union}
    assert iou[9] == 0, "parking is in the scenes, and no judge of 19 classes names it"
    assert scores["mIoU[35]"].value == pytest.approx(np.mean(list(iou.values())))
    assert scores["mIoU[35]"].value < scores["mIoU"].value
    draws = MeanIoU.resampled(measured, np.ones((1, 2)))
    assert draws["mIoU[35]"][0] == pytest.approx(scores["mIoU[35]"].value)


@pytest.fixture
def weights_folder(user_weights) -> Path:
    return user_weights


def test_the_papers_judge_of_coco_stuff_is_found_by_default(weights_folder):
    """171 classes answer 182 labels: eleven were removed from COCO-Stuff before it was labelled."""
    maskformer(weights_folder / MASKFORMER.folder, coco_classes())
    judge = load_segmenter(coco_stuff())
    maps = judge.predict(pictures(1, 64, 64))
    assert maps.shape == (1, 64, 64)
    assert set(np.unique(maps)) <= set(COCO_STUFF.evaluated)
    assert judge.evaluated == COCO_STUFF.evaluated
    assert judge.protocol == (
        "MaskFormerForInstanceSegmentation maskformer-resnet101-coco-stuff@shortest=64,longest=256"
    )


def test_masks_become_labels_as_the_definition_says(tmp_path):
    """Semantic inference of MaskFormer, section 3.4: argmax over classes of sum_i p_i(c) m_i."""
    place = maskformer(tmp_path / "m", coco_classes())
    judge = HfSegmenter(place, coco_stuff())
    images = pictures(1, 64, 64)
    processor = transformers.AutoImageProcessor.from_pretrained(place)
    network = transformers.MaskFormerForInstanceSegmentation.from_pretrained(place).eval()
    with torch.no_grad():
        outputs = network(**processor(images=list((images * 255).byte()), return_tensors="pt"))
    classes = outputs.class_queries_logits.softmax(-1)[..., :-1]
    logits = torch.einsum("bqc,bqhw->bchw", classes, outputs.masks_queries_logits.sigmoid())
    logits = torch.nn.functional.interpolate(logits, (64, 64), mode="bilinear")
    names = coco_classes()
    expected = [COCO_STUFF.names.index(names[n]) for n in logits.argmax(1).flatten().tolist()]
    assert judge.predict(images).flatten().tolist() == expected


def test_without_the_papers_judge_the_message_says_what_to_put_where(weights_folder):
    with pytest.raises(MetricError) as caught:
        MeanIoU(coco_stuff())
    message = str(caught.value)
    for part in ("mIoU is skipped on `coco_stuff`", "config.json", "model.safetensors", "preprocessor_config.json",
                 "https://huggingface.co/facebook/maskformer-resnet101-coco-stuff", str(weights_folder)):  # fmt: skip
        assert part in message


@pytest.mark.parametrize("space", [CAMVID, ADE20K], ids=lambda space: space.name)
def test_a_data_set_without_a_judge_of_its_own_takes_any_that_answers_it(tmp_path, space):
    context = MetricContext(space.name, space)
    with pytest.raises(MetricError, match=rf"mIoU is skipped on `{space.name}`.*hf:FOLDER.*mmseg:CONFIG"):
        MeanIoU(context)
    # in the published configurations for ADE20K the one class is "bed "
    classes = ["bed " if space.names[n] == "bed" else space.names[n] for n in space.evaluated]
    place = segformer(tmp_path / "s", classes)
    assert MeanIoU(replace(context, evaluator=f"hf:{place}")).protocol.endswith(f"{len(space.evaluated)} classes")


def test_classes_match_by_name_in_any_order_and_writing(tmp_path):
    shuffled = ["Traffic_Light", "bicycle", *(c for c in reversed(CLASSES) if c not in ("traffic light", "bicycle"))]
    judge = HfSegmenter(segformer(tmp_path / "s", shuffled), cityscapes())
    names = np.array(CITYSCAPES.names)
    assert [str(name) for name in names[judge._label_ids.numpy()]] == ["traffic light", *shuffled[1:]]


def test_a_checkpoint_that_lacks_labels_is_refused_with_the_list(tmp_path):
    place = segformer(tmp_path / "s", [c for c in CLASSES if c not in ("rider", "train")])
    with pytest.raises(MetricError, match=r"2 of the 19 evaluated labels: rider, train.*labels-cityscapes\.toml"):
        HfSegmenter(place, cityscapes())


def test_a_panoptic_maskformer_is_refused(tmp_path):
    """`maskformer-swin-base-coco` and its like merge stuff: 133 classes such as `tree-merged`."""
    place = maskformer(tmp_path / "m", [*coco_classes()[:80], "banner", "tree-merged", "wall-other-merged"])
    with pytest.raises(MetricError, match="does not answer 90 of the 182 evaluated labels: blanket, branch"):
        HfSegmenter(place, coco_stuff())


def test_a_file_names_classes_and_leaves_labels_out(tmp_path, make_comparison):
    classes = ["street" if c == "road" else c for c in CLASSES if c != "rider"]
    place = segformer(tmp_path / "s", [*classes, "bed", "parking"])
    (place / "labels-cityscapes.toml").write_text('unanswered = ["rider"]\n[classes]\n"Street" = "road"\n')
    judge = HfSegmenter(place, cityscapes())
    assert judge.evaluated == tuple(label for label in EVALUATED_IDS if label != 25)
    assert judge._label_ids[0] == 7  # road
    assert judge._label_ids[-2:].tolist() == [NO_LABEL, 9]  # no such label; a label that is not evaluated
    assert judge.protocol.endswith(", without rider")
    metric = MeanIoU(cityscapes(f"hf:{place}"))
    assert "|18 classes" in metric.protocol
    comparison = make_comparison(scenes=1)
    counted = metric.measure(comparison)["gt"][0, 1].sum()
    assert counted == np.isin(comparison.labels, judge.evaluated).sum()
    (place / "labels-cityscapes.toml").write_text('unanswered = ["rider", "train"]\n[classes]\n"Street" = "road"\n')
    assert HfSegmenter(place, cityscapes()).sha256 != judge.sha256


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unanswerd = []", "unknown key 'unanswerd'"),
        ('unanswered = ["ridr"]', r"no label 'ridr'; did you mean 'rider'\?"),
        ('[classes]\n"rood" = "road"', r"no class of the checkpoint 'rood'; did you mean 'road'\?"),
        ('[classes]\nroad = "rod"', r"no label 'rod'; did you mean 'road'\?"),
        ("[classes]\nroad = 7", "must have a label name"),
        ("unanswered = [7]", "list of label names"),
        ("not toml", "not valid TOML"),
        ("unanswered = " + "[" * 3000, "not valid TOML: maximum recursion depth"),
        ("unanswered = " + "9" * 5000, "not valid TOML: Exceeds the limit"),
    ],
)
def test_mistakes_in_that_file_are_named(folder, tmp_path, text, message):
    import shutil

    place = shutil.copytree(folder, tmp_path / "copy")
    (place / "labels-cityscapes.toml").write_text(text)
    with pytest.raises(MetricError, match=message) as caught:
        HfSegmenter(place, cityscapes())
    assert "labels-cityscapes.toml" in str(caught.value)


def test_a_folder_is_found_among_the_users_weights(weights_folder):
    segformer(weights_folder / "mine")
    assert "mine@" in load_segmenter(cityscapes("hf:mine")).protocol
    with pytest.raises(MetricError, match=rf"there are no weights 'others'; looked for .*{weights_folder.name}"):
        load_segmenter(cityscapes("hf:others"))


def test_the_digest_is_over_everything_that_answers(folder, tmp_path):
    import shutil

    first = HfSegmenter(folder, cityscapes()).sha256
    for name in ("preprocessor_config.json", "model.safetensors"):
        place = shutil.copytree(folder, tmp_path / name)
        if name.endswith("json"):
            settings = json.loads((place / name).read_text())
            (place / name).write_text(json.dumps({**settings, "size": {"height": 64, "width": 64}}))
        else:
            tensors = load_file(place / name)
            tensors["decode_head.classifier.bias"] += 1
            save_file(tensors, place / name, {"format": "pt"})
        assert HfSegmenter(place, cityscapes()).sha256 != first


def _without_a_head(place: Path) -> None:
    tensors = load_file(place / "model.safetensors")
    del tensors["decode_head.classifier.weight"]
    save_file(tensors, place / "model.safetensors", {"format": "pt"})


def _with_nan(place: Path) -> None:
    tensors = load_file(place / "model.safetensors")
    tensors["decode_head.classifier.weight"][0] = float("nan")
    save_file(tensors, place / "model.safetensors", {"format": "pt"})


def _as_a_pickle(place: Path) -> None:
    torch.save(load_file(place / "model.safetensors"), place / "pytorch_model.bin")
    (place / "model.safetensors").unlink()


def _cut(place: Path) -> None:
    (place / "model.safetensors").write_bytes((place / "model.safetensors").read_bytes()[:1000])


def _cropping(place: Path) -> None:
    settings = json.loads((place / "preprocessor_config.json").read_text())
    (place / "preprocessor_config.json").write_text(
        json.dumps({**settings, "do_center_crop": True, "crop_size": {"height": 32, "width": 32}})
    )


def _settings(place: Path, **changes: object) -> None:
    settings = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**settings, **changes}))


def _numbered(place: Path) -> None:
    names = json.loads((place / "config.json").read_text())["id2label"]
    _settings(place, id2label={**names, "3": 3})


def _another_kind(place: Path) -> None:
    settings = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**settings, "model_type": "bert"}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without_a_head, r"missing decode_head\.classifier\.weight"),
        (_with_nan, "not finite decode_head"),
        (_as_a_pickle, r"lacks model\.safetensors; PyTorch's pickles"),
        (_cut, "does not hold a SegformerForSemanticSegmentation"),
        (_cropping, "do_center_crop"),
        (_another_kind, "holds a bert, which is no semantic segmenter"),
        (lambda place: _settings(place, model_type=["bert"]), r"config\.json names no model_type \(it is a list\)"),
        (lambda place: (place / "config.json").write_text("[" * 5000), r"config\.json names no model_type"),
        (_numbered, r"id2label in config\.json does not name classes 0 to"),
        (lambda place: (place / "config.json").unlink(), r"lacks config\.json"),
        (lambda place: (place / "preprocessor_config.json").unlink(), r"lacks preprocessor_config\.json"),
    ],
)
def test_what_would_give_a_wrong_number_is_refused(folder, tmp_path, damage, message):
    import shutil

    place = shutil.copytree(folder, tmp_path / "copy")
    damage(place)
    with pytest.raises(MetricError, match=message):
        HfSegmenter(place, cityscapes())
