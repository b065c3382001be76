"""Tiny, randomly initialised networks of `transformers` in folders like the published ones, made offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from bench.data.coco_stuff import COCO_STUFF, CocoStuff
from metrics.fid import fid_network

NAMES = {label + 1: name for name, label in CocoStuff.coco_classes.items()}


def write_detr(folder: Path, confident: str = "car", timm: bool = False) -> None:
    """A DETR of 12 queries, which sees a class in most of them; `timm` chooses the backbone's library."""
    from transformers import DetrConfig, DetrForObjectDetection, DetrImageProcessor, ResNetConfig

    named = {number: NAMES.get(number, "N/A") for number in range(91)}
    resnet = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 16], depths=[1, 1, 1, 1], layer_type="basic", out_features=["stage4"]
    )
    backbone = {"backbone": "resnet10t", "use_timm_backbone": True} if timm else {"backbone_config": resnet}
    torch.manual_seed(1)
    network = DetrForObjectDetection(
        DetrConfig(
            **{"use_timm_backbone": False, "use_pretrained_backbone": False, **backbone},
            d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=16, decoder_ffn_dim=16, num_queries=12, id2label=named,
            label2id={name: number for number, name in named.items()},
        )
    )  # fmt: skip
    with torch.no_grad():
        network.class_labels_classifier.weight *= 20
        network.class_labels_classifier.bias[{name: number for number, name in named.items()}[confident]] += 6
        network.bbox_predictor.layers[-1].weight *= 20
    network.save_pretrained(folder)
    DetrImageProcessor(size={"shortest_edge": 48, "longest_edge": 120}).save_pretrained(folder)


def write_dpt(folder: Path) -> None:
    """A DPT of four layers for 48x48 pixels."""
    from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessor

    torch.manual_seed(2)
    network = DPTForDepthEstimation(
        DPTConfig(
            hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=16, image_size=48,
            patch_size=16, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8,
        )
    )  # fmt: skip
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.startswith(("neck", "head")) and value.ndim == 4:
                value *= 8
        network.head.head[4].bias += 1.0  # above the last ReLU
    network.save_pretrained(folder)
    DPTImageProcessor(size={"height": 48, "width": 48}).save_pretrained(folder)


def naming(classes: Sequence[str]) -> dict[str, object]:
    return {"id2label": dict(enumerate(classes)), "label2id": {name: n for n, name in enumerate(classes)}}


def maskformer(folder: Path, classes: Sequence[str]) -> Path:
    """A MaskFormer on a small ResNet, as `facebook/maskformer-resnet101-coco-stuff` is stored."""
    import transformers

    torch.manual_seed(2)
    backbone = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], layer_type="basic", out_indices=[1, 2, 3, 4]
    )
    decoder = transformers.MaskFormerDetrConfig(
        d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, num_queries=6,
    )  # fmt: skip
    config = transformers.MaskFormerConfig(
        fpn_feature_size=32, mask_feature_size=32, backbone_config=backbone, decoder_config=decoder, **naming(classes)
    )
    network = transformers.MaskFormerForInstanceSegmentation(config)
    network.class_predictor.weight.data.mul_(20)
    network.save_pretrained(folder)
    size = {"shortest_edge": 64, "longest_edge": 256}
    transformers.MaskFormerImageProcessor(size=size, size_divisor=32).save_pretrained(folder)
    return folder


def coco_classes() -> list[str]:
    """The 171 classes of the checkpoint: every label but the eleven removed ones, and `unknown`."""
    return [name for k, name in enumerate(COCO_STUFF.names[:-1]) if k not in COCO_STUFF.never]


def write_inception(path: Path) -> None:
    """pytorch-fid's Inception with random weights and statistics."""
    torch.manual_seed(0)
    network = fid_network()
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    torch.save(network.state_dict(), path)
