"""`bench speed training`: one update of GESCO's training, ours against a plain loop, side by side in one process."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from bench.speed.sizes import CHANNELS, Size
from bench.speed.timing import interleaved, peak_memory
from methods.base import LabelSpace, MethodContext, Scene
from methods.diffusion.loss import hybrid_loss
from methods.diffusion.profile import paper_profile
from methods.diffusion.reverse import noisy_image
from methods.diffusion.schedule import linear_schedule
from methods.diffusion.unet import SemanticUNet
from methods.gesco.task import GescoTask
from methods.semantic.maps import semantic_maps

BATCH = 4
LABELS = CHANNELS - 1


def random_scene(size: Size) -> Scene:
    """A batch of scenes of random 16x16 blocks, each block an instance of its own."""
    generator = torch.Generator().manual_seed(0)
    grid = (BATCH, size.height // 16, size.width // 16)
    blocks = torch.randint(LABELS, grid, generator=generator)
    numbers = torch.arange(blocks.numel(), dtype=torch.int32).reshape(grid) + 1000

    def spread(values: Tensor) -> Tensor:
        return values.repeat_interleave(16, 1).repeat_interleave(16, 2)

    space = LabelSpace("blocks", tuple(map(str, range(LABELS))), ((0, 0, 0),) * LABELS, tuple(range(LABELS)))
    image = torch.rand(BATCH, 3, size.height, size.width, generator=generator)
    return Scene(image, spread(blocks), spread(numbers), None, tuple(map(str, range(BATCH))), space)


class PlainTraining:
    """The loop as one writes it first: float16 autocast with loss scaling on CUDA (float32 on the CPU), the network as
    it is, AdamW and the average of the weights tensor by tensor."""

    def __init__(self, size: Size, device: torch.device) -> None:
        torch.manual_seed(0)
        self.device = device
        self.network = SemanticUNet(size.network).to(device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-4, weight_decay=0.0, foreach=False)
        self.scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")
        self.schedule = linear_schedule()

    def step(self, scene: Scene, generator: torch.Generator) -> float:
        """One update; the loss."""
        image = (scene.image * 2 - 1).to(self.device)
        maps = semantic_maps(scene.labels, scene.instances, LABELS)
        maps = (maps + 0.36 * torch.randn(maps.shape, generator=generator)).to(self.device)
        index = torch.randint(len(self.schedule), (len(scene),), generator=generator).to(self.device)
        noise = torch.randn(image.shape, generator=generator).to(self.device)
        x = noisy_image(self.schedule, image, index, noise)
        with torch.autocast(self.device.type, dtype=torch.float16, enabled=self.device.type == "cuda"):
            output = self.network(x, index, self.network.prepare(maps))
        loss = hybrid_loss(self.schedule, output.float(), image, x, noise, index).total.mean()
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.mul_(0.9999).add_(value, alpha=1e-4)
        return float(loss.detach())


def measure_training(
    size: Size, device: torch.device, steps: int, repeats: int, report: Callable[[str], None]
) -> dict[str, Any]:
    """Rows for the plain loop and for the project's own training task at batch 4, JSON-serialisable; `steps` updates a
    run."""
    scene = random_scene(size)
    plain = PlainTraining(size, device)
    context = MethodContext("blocks", scene.label_space, size.height, size.width, "paper", device)
    torch.manual_seed(0)
    task = GescoTask(context, replace(paper_profile(CHANNELS), network=size.network, batch_size=BATCH))
    generator = torch.Generator().manual_seed(0)
    done = 0

    def ours() -> None:
        nonlocal done
        for _ in range(steps):
            task.step(scene, generator, done)
            done += 1

    def published() -> None:
        for _ in range(steps):
            plain.step(scene, generator)

    variants = {"plain": published, "ours": ours}
    peaks = {}
    for name, run in variants.items():
        report(f"warm-up: {name}")
        peaks[name] = peak_memory(run, device)
    timings = interleaved(variants, repeats, device, report)
    rows = [
        {
            "variant": name,
            "batch": BATCH,
            "ms_per_step": 1e3 * timing.median / steps,
            "ms_per_step_min": 1e3 * min(timing.runs) / steps,
            "ms_per_step_max": 1e3 * max(timing.runs) / steps,
            "images_per_second": BATCH * steps / timing.median,
            "peak_memory_bytes": peaks[name],
        }
        for name, timing in timings.items()
    ]
    ratio = timings["plain"].median / timings["ours"].median
    return {"steps_timed": steps, "repeats": repeats, "rows": rows, "ratios": {"ours against plain": ratio}}
