"""Judges `mmseg:CONFIG`: a tiny untrained network of mmsegmentation through the real code path, where it is there."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api.errors import MetricError
from bench.api.metric import MetricContext
from metrics.evaluators.labels import EVALUATED_IDS
from metrics.evaluators.registry import load_segmenter
from metrics.miou import MeanIoU

CLASSES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
CONFIG = """
model = dict(
    type="EncoderDecoder",
    data_preprocessor=dict(type="SegDataPreProcessor", mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4],
                           bgr_to_rgb=True, pad_val=0, seg_pad_val=255, size=(64, 128)),
    pretrained="open-mmlab://resnet18_v1c",
    backbone=dict(type="UNet", in_channels=3, base_channels=4, num_stages=2, strides=(1, 1), enc_num_convs=(1, 1),
                  dec_num_convs=(1,), downsamples=(True,), enc_dilations=(1, 1), dec_dilations=(1,),
                  norm_cfg=dict(type="BN")),
    decode_head=dict(type="FCNHead", in_channels=4, in_index=1, channels=8, num_convs=1, concat_input=False,
                     num_classes=19, norm_cfg=dict(type="BN"), align_corners=False),
    train_cfg=dict(), test_cfg=dict(mode="whole"))
dataset_type = "CityscapesDataset"
test_pipeline = [dict(type="LoadImageFromFile"), dict(type="Resize", scale=(128, 64), keep_ratio=True),
                 dict(type="LoadAnnotations"), dict(type="PackSegInputs")]
default_scope = "mmseg"
load_from = None
"""


@pytest.fixture(scope="module")
def mmseg():
    """mmsegmentation, if need be with a stand-in for mmcv's compiled operators, of which the tiny network has none."""
    pytest.importorskip("mmseg", exc_type=ImportError)
    if importlib.util.find_spec("mmcv._ext") is None:

        class Operators(types.ModuleType):
            def __getattr__(self, name):
                if name.startswith("__"):
                    raise AttributeError(name)
                return type(name, (torch.nn.Module,), {})

        stand_in = Operators("mmcv.ops")
        stand_in.__spec__ = importlib.machinery.ModuleSpec("mmcv.ops", None)
        sys.modules["mmcv.ops"] = stand_in
    import mmseg.apis

    return mmseg


@pytest.fixture
def place(mmseg, tmp_path) -> Path:
    """A folder as `mim download` leaves it: one config, one checkpoint with names of classes."""
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "unet-tiny.py").write_text(CONFIG)
    config = Config.fromfile(folder / "unet-tiny.py")
    config.model.pretrained = None
    init_default_scope("mmseg")
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.decode_head.conv_seg.weight.data.normal_(0, 3)
    meta = {"dataset_meta": {"classes": list(CLASSES), "palette": []}}
    torch.save({"meta": meta, "state_dict": model.state_dict()}, folder / "unet-tiny_20230101-0123abcd.pth")
    return folder


def context(judge: str | None = None) -> MetricContext:
    from bench.data.cityscapes import CITYSCAPES

    return MetricContext("cityscapes", CITYSCAPES, evaluator=judge)


def pictures(count: int = 2) -> torch.Tensor:
    blocks = torch.rand(count, 3, 6, 12, generator=torch.Generator().manual_seed(4))
    return (blocks.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3) * 255).round() / 255


def test_answers_are_those_of_mmsegs_own_inference_on_files(mmseg, place, tmp_path):
    from PIL import Image

    judge = load_segmenter(context(f"mmseg:{place}"))
    images = pictures()
    maps = judge.predict(images).numpy()
    model = mmseg.apis.init_model(
        place / "unet-tiny.py", str(next(place.glob("*.pth"))), device="cpu", cfg_options={"load_from": None}
    )
    for number, picture in enumerate(images):
        file = tmp_path / f"{number}.png"
        Image.fromarray((picture * 255).byte().permute(1, 2, 0).numpy()).save(file)
        expected = mmseg.apis.inference_model(model, str(file)).pred_sem_seg.data[0].numpy()
        np.testing.assert_array_equal(maps[number], np.array(EVALUATED_IDS)[expected])
    assert len(np.unique(maps)) > 2, "the judge has to say several things for this test to mean anything"
    assert judge.evaluated == EVALUATED_IDS
    assert judge.protocol == "mmseg unet-tiny@128x64,keep_ratio"


def test_miou_runs_on_it(place, make_comparison):
    metric = MeanIoU(context(f"mmseg:{place / 'unet-tiny.py'}"))
    scores = metric.summarise(metric.measure(make_comparison(scenes=2)))
    assert all(0 <= score.value <= 1 for score in scores)


def test_classes_come_from_the_data_set_where_the_checkpoint_has_none(place):
    checkpoint = next(place.glob("*.pth"))
    torch.save(torch.load(checkpoint, weights_only=True)["state_dict"], checkpoint)
    assert load_segmenter(context(f"mmseg:{place}")).evaluated == EVALUATED_IDS


def test_what_would_give_a_wrong_number_is_refused(place):
    def judge():
        return load_segmenter(context(f"mmseg:{place}"))

    checkpoint = next(place.glob("*.pth"))
    whole = torch.load(checkpoint, weights_only=True)
    lacking = {k: v for k, v in whole["state_dict"].items() if k != "decode_head.conv_seg.bias"}
    torch.save({**whole, "state_dict": lacking}, checkpoint)
    with pytest.raises(MetricError, match=r"does not fit its config \(missing decode_head\.conv_seg\.bias\)"):
        judge()
    broken = {k: v * float("nan") if k == "decode_head.conv_seg.bias" else v for k, v in whole["state_dict"].items()}
    torch.save({**whole, "state_dict": broken}, checkpoint)
    with pytest.raises(MetricError, match=r"not finite decode_head\.conv_seg\.bias"):
        judge()
    checkpoint.write_bytes(pickle.dumps({"state_dict": print}))
    with pytest.raises(MetricError, match="is not read"):
        judge()
    checkpoint.unlink()
    with pytest.raises(MetricError, match=r"must hold one checkpoint of mmsegmentation, it has none"):
        judge()
    (place / "unet-tiny.py").write_text("model = 1 / 0")
    with pytest.raises(MetricError, match="no config of mmsegmentation"):
        judge()


def test_without_mmsegmentation_the_message_says_what_to_install(tmp_path, monkeypatch):
    for name in ("mmengine.config", "mmseg.apis"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "config.py").write_text(CONFIG)
    with pytest.raises(MetricError, match=r"mIoU is skipped.*pip install 'gesco-bench\[mmseg\]'"):
        MeanIoU(context(f"mmseg:{tmp_path}"))
