"""The paper's depth network: DPT (Ranftl et al., ICCV 2021, arXiv 2103.13413), as published, through `transformers`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from metrics.evaluators.published import DPT, picture_bytes


class DptEstimator:
    """DPT-Large, trained on MiDaS's mix of data sets: it answers with inverse depth up to scale and shift.

    Pictures reach it as its image processor says: 384x384.
    """

    gpu_batch = 8
    inverse = True

    def __init__(self, folder: Path, device: torch.device | str) -> None:
        self.sha256 = DPT.digest(folder)
        self.device = device
        self._network, self._processor = DPT.load(folder, "DPTForDepthEstimation", "DPTImageProcessor", device)

    @classmethod
    def load(cls, weights_dir: Path | None, device: torch.device | str) -> DptEstimator:
        """The network from `weights_dir`, else the user's weights; MetricError says what to download, and to where."""
        return cls(DPT.find(weights_dir), device)

    @property
    def protocol(self) -> str:
        """The network and the size at which it sees pictures."""
        size = self._processor.size
        return f"{DPT.folder}@{size['height']}x{size['width']}"

    @torch.inference_mode()
    def estimate(self, images: Tensor) -> Tensor:
        """Inverse depth (B, H, W), brought to the pictures' size by a bicubic filter, as the authors do."""
        inputs = self._processor(images=picture_bytes(images), input_data_format="channels_last", return_tensors="pt")
        answers = self._network(inputs["pixel_values"].to(self.device)).predicted_depth
        resized = nn.functional.interpolate(answers[:, None].float(), images.shape[-2:], mode="bicubic")
        return resized[:, 0]
