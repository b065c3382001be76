"""DeepJSCC's training: the mean squared error of pictures behind a noisy channel (arXiv 1809.01733, section III)."""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api.method import MethodContext
from bench.api.scenes import Scene
from bench.api.training.task import TrainingTask
from bench.api.training.update import Precision, ema_update, linear_fall
from methods.deepjscc.method import CLEAN_SNR, EVERY_SNR, PEAK, DeepJsccProfile
from methods.deepjscc.network import Autoencoder

#: Ratios (dB) of the validation loss of a network that is trained on all.
_VALIDATED = (0.0, 10.0, 20.0)


class DeepJsccTask(TrainingTask):
    """Adam on the mean squared error; the noise of each scene is drawn anew at every step.

    Trained for one ratio, every scene has that. Trained for all, a scene's is drawn evenly in dB from EVERY_SNR, and
    every eighth scene has a clean channel.
    """

    precisions: ClassVar[tuple[Precision, ...]] = ("float32", "bfloat16")
    watched: ClassVar[tuple[str, ...]] = ("loss",)

    def __init__(self, context: MethodContext, profile: DeepJsccProfile, weights_file: str) -> None:
        """Build the network (from PyTorch's global generator) on the device, and its optimiser."""
        self.context, self.profile, self.weights_file = context, profile, weights_file
        self.batch_size, self.steps = profile.batch_size, profile.steps
        self.network = Autoencoder(profile)
        self.network.to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.networks, self.emas = {"autoencoder": self.network}, {"autoencoder": self.average}
        self.optimizers = {"autoencoder": torch.optim.Adam(self.network.parameters(), profile.rate, foreach=True)}
        self.prepare("auto", False)

    def recipe(self) -> dict[str, Any]:
        """The profile, and the channel."""
        snr = list(EVERY_SNR) if self.profile.trained == "all" else float(self.profile.trained)
        return {**asdict(self.profile), "steps": self.steps, "snr_db": snr, "peak": PEAK}

    def step(self, scene: Scene, generator: torch.Generator, step: int) -> dict[str, float]:
        """One update."""
        optimizer = self.optimizers["autoencoder"]
        for group in optimizer.param_groups:
            group["lr"] = self.profile.rate * linear_fall(step, self.steps, self.profile.constant)
        mirror = torch.rand(len(scene), generator=generator) < 0.5
        pictures = torch.where(mirror[:, None, None, None], scene.image.flip(-1), scene.image)
        loss = self._loss(self.network, pictures, self.ratios(len(scene), generator), generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        ema_update(self.average, self.network, self.profile.ema, step)
        return {"loss": float(loss.detach())}

    def ratios(self, count: int, generator: torch.Generator) -> Tensor:
        """Signal-to-noise ratios of so many scenes, (count,) dB; infinite for a clean channel."""
        if self.profile.trained != "all":
            return torch.full((count,), float(self.profile.trained))
        low, high = EVERY_SNR
        drawn = low + (high - low) * torch.rand(count, generator=generator)
        return torch.where(torch.rand(count, generator=generator) < 1 / 8, torch.inf, drawn)

    def _loss(self, network: nn.Module, pictures: Tensor, snr_db: Tensor, generator: torch.Generator) -> Tensor:
        return F.mse_loss(self._through(network, pictures, snr_db, generator), pictures.to(self.context.device))

    def _through(self, network: nn.Module, pictures: Tensor, snr_db: Tensor, generator: torch.Generator) -> Tensor:
        """Pictures (B, 3, H, W) through encoder, channel and decoder, float32."""
        assert isinstance(network, Autoencoder)
        device = self.context.device
        pictures = pictures.to(device).contiguous(memory_format=torch.channels_last)
        told = snr_db.clamp(max=CLEAN_SNR).to(device) if self.profile.adaptive else None
        with self.autocast():
            symbols = network.encode(pictures, told)
            noise = torch.randn(symbols.shape, generator=generator) * 10 ** (-snr_db / 20)[:, None, None, None]
            return network.decode(symbols + noise.to(device), told).float()

    @torch.no_grad()
    def validation(self, scene: Scene, generator: torch.Generator) -> dict[str, float]:
        """The averaged network's mean squared error at the ratio that it is trained for, or over three of them."""
        levels = _VALIDATED if self.profile.trained == "all" else (float(self.profile.trained),)
        losses = [
            float(self._loss(self.average, scene.image, torch.full((len(scene),), snr), generator)) for snr in levels
        ]
        return {"loss": sum(losses) / len(losses)}

    @torch.no_grad()
    def sample(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """Pictures at 10 dB."""
        return self._through(self.average, scene.image, torch.full((len(scene),), 10.0), generator).clamp(0, 1).cpu()

    def export(self) -> dict[str, Tensor]:
        """The averaged network's state."""
        return {key: value.detach().cpu() for key, value in self.average.state_dict().items()}
