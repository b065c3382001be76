"""`bench speed training`: one update of GESCO's training, ours against a plain loop, side by side in one process."""

import copy
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from bench.api.method import MethodContext
from bench.api.scenes import LabelSpace, Scene
from bench.speed.published import in_published_arithmetic
from bench.speed.sampling import spread
from bench.speed.timing import CHANNELS, Size, interleaved, peak_memory
from methods.common.diffusion.loss import hybrid_loss
from methods.common.diffusion.profile import paper_profile
from methods.common.diffusion.reverse import noisy_image
from methods.common.diffusion.schedule import linear_schedule
from methods.common.diffusion.unet import SemanticUNet
from methods.common.semantic.maps import semantic_maps
from methods.gesco.task import GescoTask

BATCH = 4
LABELS = CHANNELS - 1


def random_scene(size: Size) -> Scene:
    """A batch of scenes of random 16x16 blocks, each block an instance of its own."""
    generator = torch.Generator().manual_seed(0)
    grid = (BATCH, size.height // 16, size.width // 16)
    blocks = torch.randint(LABELS, grid, generator=generator)
    numbers = torch.arange(blocks.numel(), dtype=torch.int32).reshape(grid) + 1000

    space = LabelSpace("blocks", tuple(map(str, range(LABELS))), ((0, 0, 0),) * LABELS, tuple(range(LABELS)))
    image = torch.rand(BATCH, 3, size.height, size.width, generator=generator)
    return Scene(image, spread(blocks), spread(numbers), None, tuple(map(str, range(BATCH))), space)


def move_training(networks: Sequence[nn.Module], optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Networks and the optimiser's state to `device`, gradients dropped.

    At paper size a GPU of 80 GB does not hold two trainings, so one waits in the CPU's memory while the other is timed.
    """
    optimizer.zero_grad(set_to_none=True)
    for network in networks:
        network.zero_grad(set_to_none=True)
        network.to(device)
    for state in optimizer.state.values():
        for key, value in state.items():
            if isinstance(value, Tensor):
                state[key] = value.to(device)
    if device.type == "cpu" and torch.cuda.is_available():
        torch.cuda.empty_cache()


class PlainTraining:
    """The loop as published (guided-diffusion's, which SDM and GESCO took over), in the published arithmetic.

    On CUDA weights, activations and gradients in float16 with a scaled loss beside float32 weights for the optimiser,
    on the CPU float32; AdamW and the average of the weights tensor by tensor. Not under autocast: that keeps the
    published products and sums in float32, whose activations at batch 4 need more than 80 GB.
    """

    def __init__(
        self, size: Size, device: torch.device, weights: Mapping[str, Tensor], dtype: torch.dtype | None = None
    ) -> None:
        self.device = device
        self.dtype = dtype or (torch.float16 if device.type == "cuda" else torch.float32)
        self.network = SemanticUNet(size.network)
        self.network.load_state_dict(weights)
        in_published_arithmetic(self.network).to(device)
        self.master = copy.deepcopy(self.network)  # what the optimiser sees
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.network.to(self.dtype)
        self.optimizer = torch.optim.AdamW(self.master.parameters(), lr=1e-4, weight_decay=0.0, foreach=False)
        self.loss_scale = 2.0**16 if self.dtype == torch.float16 else 1.0
        self.schedule = linear_schedule()

    def step(self, scene: Scene, generator: torch.Generator) -> float:
        """One update; the loss. Where the scaled gradients overflow, the weights stay and the scale is halved."""
        image = (scene.image * 2 - 1).to(self.device)
        maps = semantic_maps(scene.labels, scene.instances, LABELS)
        maps = (maps + 0.36 * torch.randn(maps.shape, generator=generator)).to(self.device, self.dtype)
        index = torch.randint(len(self.schedule), (len(scene),), generator=generator).to(self.device)
        noise = torch.randn(image.shape, generator=generator).to(self.device)
        x = noisy_image(self.schedule, image, index, noise)
        output = self.network(x.to(self.dtype), index, self.network.prepare(maps))
        loss = hybrid_loss(self.schedule, output.float(), image, x, noise, index).total.mean()
        self.network.zero_grad()
        (loss * self.loss_scale).backward()  # type: ignore[no-untyped-call]
        if self._take_gradients():
            self.optimizer.step()
            networks = (self.average.parameters(), self.master.parameters(), self.network.parameters())
            with torch.no_grad():
                for mean, kept, used in zip(*networks, strict=True):
                    used.copy_(kept)
                    mean.mul_(0.9999).add_(kept, alpha=1e-4)
        else:
            self.loss_scale /= 2
        return float(loss.detach())

    def _take_gradients(self) -> bool:
        """The network's gradients, unscaled, to the optimiser's weights; whether all of them are finite."""
        square = torch.zeros((), device=self.device)
        for kept, used in zip(self.master.parameters(), self.network.parameters(), strict=True):
            assert used.grad is not None
            kept.grad = used.grad.float() / self.loss_scale
            square += kept.grad.square().sum()
        return bool(torch.isfinite(square))


def measure_training(
    size: Size, device: torch.device, steps: int, repeats: int, report: Callable[[str], None]
) -> dict[str, Any]:
    """Rows for the plain loop and the project's own training as it runs on the device, JSON-serialisable.

    Both start from the same weights and see the same scenes at batch 4, `steps` updates a run. `loss` is the mean of
    all updates after the warm-up, `loss_error` its standard error; `warm_up_seconds` the first run, compiling included.
    """
    scene = random_scene(size)
    context = MethodContext("blocks", scene.label_space, size.height, size.width, "paper", str(device))
    torch.manual_seed(0)
    ours = GescoTask(context, replace(paper_profile(CHANNELS), network=size.network, batch_size=BATCH))
    ours.prepare("auto", False, device.type == "cuda")  # on a CPU the compiler takes minutes, and nobody trains so
    plain = PlainTraining(size, device, ours.network.state_dict())
    states = {
        "plain": ((plain.network, plain.master, plain.average), plain.optimizer),
        "ours": ((ours.network, ours.average), ours.optimizers["unet"]),
    }
    update: dict[str, Callable[[torch.Generator, int], float]] = {
        "plain": lambda generator, step: plain.step(scene, generator),
        "ours": lambda generator, step: ours.step(scene, generator, step)["loss"],
    }
    generators = {name: torch.Generator().manual_seed(0) for name in states}
    losses: dict[str, list[float]] = {name: [] for name in states}

    def park(name: str) -> None:
        if device.type == "cuda":
            for other in states:
                move_training(*states[other], device=device if other == name else torch.device("cpu"))

    def updates(name: str) -> Callable[[], None]:
        def run() -> None:
            for _ in range(steps):
                losses[name].append(update[name](generators[name], len(losses[name])))

        return run

    variants = {name: updates(name) for name in states}
    peaks, warm_up = {}, {}
    for name, run in variants.items():
        park(name)
        start = time.perf_counter()
        peaks[name] = peak_memory(run, device)
        warm_up[name] = time.perf_counter() - start
        report(f"warm-up of {name}: {warm_up[name]:.0f} s")
    timings = interleaved(variants, repeats, device, report, before=park)
    medians = {name: statistics.median(runs) for name, runs in timings.items()}
    rows = []
    for name, runs in timings.items():
        counted = losses[name][steps:]
        rows.append(
            {
                "variant": name,
                "batch": BATCH,
                "ms_per_step": 1e3 * medians[name] / steps,
                "ms_per_step_min": 1e3 * min(runs) / steps,
                "ms_per_step_max": 1e3 * max(runs) / steps,
                "images_per_second": BATCH * steps / medians[name],
                "peak_memory_bytes": peaks[name],
                "warm_up_seconds": warm_up[name],
                "loss": statistics.fmean(counted),
                "loss_error": statistics.stdev(counted) / len(counted) ** 0.5 if len(counted) > 1 else None,
            }
        )
    ratios = {"ours against plain": medians["plain"] / medians["ours"]}
    return {"steps_timed": steps, "repeats": repeats, "rows": rows, "losses": losses, "ratios": ratios}
