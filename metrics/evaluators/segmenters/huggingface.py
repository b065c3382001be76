"""Any semantic segmenter of the `transformers` library and MaskFormer, the paper's for COCO-Stuff.

`hf:FOLDER` names a folder as `save_pretrained` writes it, with weights in safetensors; nothing is downloaded and no
code in it is run. Pictures reach the network as the folder's own image processor prepares them, and its logits or masks
are brought back to the pictures' size with a bilinear filter before the class is taken, as `transformers` does.

Where a published repository has no safetensors, or a file has tensors that the network does not, this writes the folder
anew (it reads pickles: only for sources that you trust):

    from transformers import AutoImageProcessor, AutoModelForUniversalSegmentation  # or ...ForSemanticSegmentation
    AutoModelForUniversalSegmentation.from_pretrained(REPOSITORY).save_pretrained(FOLDER)
    AutoImageProcessor.from_pretrained(REPOSITORY).save_pretrained(FOLDER)
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.api.errors import MetricError
from bench.api.files import file_digest
from bench.api.metric import MetricContext
from bench.api.seeding import text_digest
from metrics.evaluators.labels import answers, read_label_map
from metrics.evaluators.published import SEGMENTER_IDLE, load_folder, picture_bytes

_SETTINGS = ("config.json", "preprocessor_config.json")
_HELP = "see metrics/evaluators/segmenters/huggingface.py"
_INDEX = "model.safetensors.index.json"
#: Networks that answer with masks and their classes, by `model_type`; their image processors make label maps of them.
_MASK_NETWORKS = ("maskformer", "mask2former", "eomt", "eomt_dinov3")


class HfSegmenter:
    """A segmentation network of `transformers` as the segmenter of one data set's pictures."""

    gpu_batch = 8

    def __init__(self, folder: Path, context: MetricContext) -> None:
        """MetricError where files are missing, of another kind of network, or one that answers other labels."""
        device = context.device
        files = _files(folder)
        label_map = read_label_map(folder, context.dataset)
        kind = _model_class(folder)
        self._network, self._processor = load_folder(
            folder, kind, "AutoImageProcessor", device, f"a {kind}", f"To write it anew: {_HELP}", SEGMENTER_IDLE
        )
        if getattr(self._processor, "do_center_crop", False):
            raise MetricError(
                f"{folder} cuts pictures to their centre before it looks, so it says nothing of the rest: set "
                "do_center_crop to false in its preprocessor_config.json"
            )
        named = self._network.config.id2label
        classes = [named.get(number) for number in range(len(named))]
        if not all(isinstance(name, str) for name in classes):
            raise MetricError(f"{folder}: id2label in config.json does not name classes 0 to {len(named) - 1}")
        found = answers(classes, context.label_space, label_map)
        self._label_ids = torch.from_numpy(found.labels).to(device)
        self._by_masks = self._network.config.model_type in _MASK_NETWORKS
        self.evaluated = found.evaluated
        self.sha256 = text_digest(" ".join([*(file_digest(file) for file in files), label_map.digest]))
        self.protocol = f"{kind} {folder.name}@{_size(self._processor)}{found.left_out}"

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) float32 in [0, 1] -> label ids (B, H, W) uint8, on its device."""
        size = (int(images.shape[-2]), int(images.shape[-1]))
        inputs = self._processor(images=picture_bytes(images), input_data_format="channels_last", return_tensors="pt")
        if "pixel_mask" in inputs and not bool(inputs["pixel_mask"].all()):
            raise MetricError("the segmenter's image processor pads pictures: set do_pad to false in its settings")
        outputs = self._network(**inputs.to(self._label_ids.device))
        if self._by_masks:
            sizes = [size] * len(images)
            maps = torch.stack(self._processor.post_process_semantic_segmentation(outputs, target_sizes=sizes))
        else:
            maps = nn.functional.interpolate(outputs.logits.float(), size, mode="bilinear").argmax(dim=1)
        return self._label_ids[maps]


def _files(folder: Path) -> list[Path]:
    """The files that determine what a folder's network answers; MetricError where one is missing."""
    weights = sorted(folder.glob("*.safetensors")) + sorted(folder.glob(_INDEX))
    files = [folder / name for name in _SETTINGS]
    missing = [file.name for file in files if not file.is_file()]
    if not weights:
        missing.append("model.safetensors")
    if missing:
        pickles = f"; PyTorch's pickles (.bin) are not read. To write it anew: {_HELP}"
        hint = pickles if any(folder.glob("*.bin")) else ""
        raise MetricError(f"{folder} is no folder as save_pretrained writes it: it lacks {', '.join(missing)}{hint}")
    return files + weights


def _model_class(folder: Path) -> str:
    """Name of the `transformers` class of a folder's segmentation network."""
    try:
        from transformers.models.auto import modeling_auto as auto
    except ImportError as error:
        raise MetricError("segmenters `hf:FOLDER` need the package transformers: pip install transformers") from error
    try:
        model_type = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
        if not isinstance(model_type, str):
            raise TypeError(f"it is a {type(model_type).__name__}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise MetricError(f"{folder}: config.json names no model_type ({error})") from error
    universal = {kind: auto.MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING_NAMES.get(kind) for kind in _MASK_NETWORKS}
    known = {**auto.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES, **{k: v for k, v in universal.items() if v}}
    if model_type not in known:
        raise MetricError(
            f"{folder} holds a {model_type}, which is no semantic segmenter that can be asked; known: "
            f"{', '.join(sorted(known))}"
        )
    return str(known[model_type])


def _size(processor: Any) -> str:
    """The size at which the network sees pictures, in words."""
    if not getattr(processor, "do_resize", True):
        return "generated"
    size = {key: value for key, value in dict(processor.size).items() if value is not None}
    if set(size) == {"height", "width"}:
        return f"{size['height']}x{size['width']}"
    return ",".join(f"{key.removesuffix('_edge')}={value}" for key, value in sorted(size.items(), reverse=True))
