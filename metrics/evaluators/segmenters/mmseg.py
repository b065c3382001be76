"""Any segmenter of `mmsegmentation`: `mmseg:CONFIG`, a config file or a folder with one and its checkpoint.

That is what `mim download mmsegmentation --config NAME --dest FOLDER` leaves. Pictures go through the config's own
`test_pipeline` and back to their size, as mmseg's `inference_model` takes them; the checkpoint is the config's
`load_from`, else the one checkpoint beside it. Its tensors are read without executing anything in the file; a config,
however, is a Python program that mmengine runs, so name only ones that you trust.
"""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.api.errors import MetricError, some
from bench.api.files import file_digest
from bench.api.metric import MetricContext
from bench.api.seeding import text_digest
from metrics.evaluators.labels import answers, read_label_map
from metrics.evaluators.published import picture_bytes, reason

_CONFIGS = (".py", ".json", ".yaml", ".yml")
_CHECKPOINTS = (".pth", ".safetensors")
_INSTALL = (
    "segmenters `mmseg:CONFIG` need mmsegmentation, and mmcv with compiled operators: pip install 'gesco-bench[mmseg]'"
)
#: Tensors that answer nothing: counters, the loss's weights, and heads for training alone.
_IDLE = ("num_batches_tracked", "auxiliary_head.", "loss_decode.", "data_preprocessor.")


class MmsegSegmenter:
    """A segmentation network of mmsegmentation as the segmenter of one data set's pictures."""

    gpu_batch = 8

    def __init__(self, place: Path, context: MetricContext) -> None:
        """Of a config, or the only one in a folder.

        MetricError without mmsegmentation, where config and checkpoint do not fit, and for classes of others.
        """
        if not place.is_file() and not place.is_dir():
            raise MetricError(f"{place} is neither a file nor a folder")
        configs = [place] if place.is_file() else [file for file in place.iterdir() if file.suffix in _CONFIGS]
        config_file, mmseg = _only(configs, place, "config"), _Mmseg()
        config = mmseg.config(config_file)
        checkpoint = _checkpoint(config_file, config.get("load_from"))
        state, meta = _read(checkpoint)
        self._model = mmseg.build(config, config_file, context.device)
        _fill(self._model, state, checkpoint)
        self._predict = mmseg.inference_model
        label_map = read_label_map(config_file.parent, context.dataset)
        found = answers(mmseg.classes(meta, config, config_file), context.label_space, label_map)
        self._label_ids = torch.from_numpy(found.labels).to(context.device)
        self.evaluated = found.evaluated
        self.sha256 = text_digest(f"{config.pretty_text} {file_digest(checkpoint)} {label_map.digest}")
        self.protocol = f"mmseg {config_file.stem}@{_size(config.test_pipeline)}{found.left_out}"

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) float32 in [0, 1] -> label ids (B, H, W) uint8, on its device."""
        pictures = [np.ascontiguousarray(p[..., ::-1]) for p in picture_bytes(images)]  # mmcv reads files as BGR
        maps = torch.stack([sample.pred_sem_seg.data[0] for sample in self._predict(self._model, pictures)])
        return self._label_ids[maps.to(self._label_ids.device).long()]


class _Mmseg:
    """The parts of mmsegmentation in use; MetricError where it is not installed."""

    def __init__(self) -> None:
        try:
            from mmengine.config import Config
            from mmengine.registry import init_default_scope
            from mmseg.apis import inference_model
            from mmseg.registry import DATASETS, MODELS
        except (ImportError, AssertionError) as error:  # mmseg asserts the version of mmcv
            raise MetricError(f"{_INSTALL} ({error})") from error
        self.inference_model = inference_model
        self._config, self._scope, self._datasets, self._models = Config, init_default_scope, DATASETS, MODELS

    def config(self, file: Path) -> Any:
        """The config, ready for inference: no weights of its own to fetch, no settings of training."""
        try:
            config = self._config.fromfile(file)
            model = config.model
            model.pretrained = model.train_cfg = None
            if "init_cfg" in model.get("backbone", {}):
                model.backbone.init_cfg = None
            if "test_pipeline" not in config:
                config.test_pipeline = config.test_dataloader.dataset.pipeline
        except Exception as error:  # a config is a program: it may fail in any way
            raise MetricError(f"{file} is no config of mmsegmentation ({reason(error)})") from error
        return config

    def build(self, config: Any, file: Path, device: torch.device | str) -> Any:
        """The network of a config with random weights, in evaluation mode."""
        try:
            self._scope(config.get("default_scope", "mmseg"))
            with torch.random.fork_rng(devices=[]):
                model = self._models.build(config.model)
        except Exception as error:  # whatever a wrong config does inside mmseg
            raise MetricError(f"{file}: mmsegmentation cannot build its network ({reason(error)})") from error
        model.cfg = config  # where inference_model looks for the pipeline
        return model.to(device).eval().requires_grad_(False)

    def classes(self, meta: Mapping[str, Any], config: Any, file: Path) -> Sequence[str]:
        """Class names: of the checkpoint, else of the config's data set."""
        names = meta.get("dataset_meta", {}).get("classes") or meta.get("CLASSES")
        if not names:
            kind = self._datasets.get(config.get("dataset_type", ""))
            names = kind.METAINFO.get("classes") if kind is not None else None
        if not names:
            raise MetricError(f"neither the checkpoint of {file} nor its data set says what its classes are called")
        return list(names)


def _checkpoint(config_file: Path, load_from: str | None) -> Path:
    if load_from:
        path = config_file.parent / load_from
        if not path.is_file():
            raise MetricError(f"{config_file} loads {load_from}, which is no file here; nothing is downloaded")
        return path
    folder = config_file.parent
    return _only([file for file in folder.iterdir() if file.suffix in _CHECKPOINTS], folder, "checkpoint")


def _only(files: Sequence[Path], folder: Path, what: str) -> Path:
    if len(files) != 1:
        named = ", ".join(sorted(file.name for file in files)) or "none"
        raise MetricError(f"{folder} must hold one {what} of mmsegmentation, it has {named}")
    return files[0]


def _read(checkpoint: Path) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    """Tensors and remarks of a checkpoint, read without executing it."""
    try:
        if checkpoint.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(checkpoint), {}
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise MetricError(
            f"{checkpoint} is not read ({reason(error)}). Only tensors and plain data are taken from a checkpoint; "
            "mmengine's `publish_model.py`, or safetensors, leave nothing else in it"
        ) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise MetricError(f"{checkpoint} is no checkpoint of mmsegmentation: it has no state_dict of tensors")
    meta = content.get("meta") or {}
    return state, meta if isinstance(meta, dict) else {}


def _fill(model: Any, state: dict[str, Tensor], checkpoint: Path) -> None:
    """Load a checkpoint whose every answering tensor is the network's, and finite; else MetricError."""
    try:
        found = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise MetricError(f"{checkpoint} does not fit its config ({reason(error)})") from error
    wrong = [f"missing {key}" for key in found.missing_keys] + [f"unexpected {key}" for key in found.unexpected_keys]
    wrong = [one for one in wrong if not any(part in one for part in _IDLE)]
    wrong += [f"not finite {k}" for k, v in state.items() if v.is_floating_point() and not torch.isfinite(v).all()]
    if wrong:
        raise MetricError(f"{checkpoint} does not fit its config ({some(wrong, 3)})")


def _size(pipeline: Sequence[Mapping[str, Any]]) -> str:
    """How a pipeline resizes pictures: width x height, mmcv's order, or `generated` where it does not."""
    for step in pipeline:
        if step["type"] == "Resize":
            ratio = ",keep_ratio" if step.get("keep_ratio") else ""
            scale = step.get("scale")
            return f"{'x'.join(map(str, scale))}{ratio}" if scale else f"scale_factor={step.get('scale_factor')}"
    return "generated"
