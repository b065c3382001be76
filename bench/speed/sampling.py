"""`bench speed sampling`: ours against the published way, side by side in one process.

The published way: float16 on CUDA (float32 on the CPU), two evaluations a step, each of them computing every SPADE
layer's gamma and beta anew. Ours: the way `methods.diffusion.method` samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bench.speed.sizes import CHANNELS, Size
from bench.speed.timing import count_flops, interleaved, matmul_peak, timed
from methods.diffusion.compiled import CompiledNetwork
from methods.diffusion.guidance import guided_denoiser, plain_denoiser
from methods.diffusion.samplers import Denoise, ancestral
from methods.diffusion.schedule import linear_schedule, respaced
from methods.diffusion.unet import SemanticUNet

#: s of the published code for Cityscapes.
GUIDANCE = 2.0
#: The steps that seconds a picture are told for: the paper's T, and what the fast samplers need.
TOLD_STEPS = (1000, 25)
PLAIN_BATCHES = (1, 4)
OUR_BATCHES = (1, 4, 8)


@dataclass(frozen=True)
class Variant:
    """One way of sampling at one batch size. `prepare` is what is done once a batch of pictures, before the steps."""

    name: str
    way: str
    batch: int
    dtype: torch.dtype
    prepare: Callable[[], Denoise]
    flops: int


def seeded_network(size: Size, device: torch.device, dtype: torch.dtype) -> SemanticUNet:
    """The network with weights from a fixed seed, frozen."""
    torch.manual_seed(0)
    return SemanticUNet(size.network).eval().requires_grad_(False).to(device=device, dtype=dtype)


def inputs(size: Size, batch: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """One-hot maps of random 16x16 blocks with an empty edge channel, and x: the same for every variant."""
    generator = torch.Generator().manual_seed(batch)
    blocks = torch.randint(CHANNELS - 1, (batch, size.height // 16, size.width // 16), generator=generator)
    labels = blocks.repeat_interleave(16, 1).repeat_interleave(16, 2)
    maps = torch.nn.functional.one_hot(labels, CHANNELS).permute(0, 3, 1, 2).float()
    x = torch.randn(batch, 3, size.height, size.width, generator=generator)
    return maps.to(device), x.to(device)


def flops_of_a_step(size: Size, batch: int, plain: bool) -> int:
    """Operations of one guided step, conditioning included where it is computed in every step; counted on tensors
    without contents."""
    meta = torch.device("meta")
    with meta:
        network = SemanticUNet(size.network)
    maps = torch.empty(batch, CHANNELS, size.height, size.width, device=meta)
    x = torch.empty(batch, 3, size.height, size.width, device=meta)
    time = torch.zeros(batch, dtype=torch.long, device=meta)
    denoise = (plain_denoiser if plain else guided_denoiser)(network, maps, GUIDANCE)
    return count_flops(lambda: denoise(x, time))


def _variants(size: Size, device: torch.device) -> list[Variant]:
    cuda = device.type == "cuda"
    plain = seeded_network(size, device, torch.float16 if cuda else torch.float32)
    ours = seeded_network(size, device, torch.bfloat16 if cuda else torch.float32)
    ours.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    made = []
    for network, way, batches in ((plain, "published", PLAIN_BATCHES), (ours, "ours", OUR_BATCHES)):
        for batch in batches:
            maps, _ = inputs(size, batch, device)
            # a graph a batch size, so that none has to be captured anew between the interleaved runs
            bind = CompiledNetwork(network).bind if cuda and way == "ours" else None

            def prepare(
                network: SemanticUNet = network, maps: Tensor = maps, way: str = way, bind: Any = bind
            ) -> Denoise:
                if way == "published":
                    return plain_denoiser(network, maps.to(next(network.parameters()).dtype), GUIDANCE)
                return guided_denoiser(network, maps, GUIDANCE, bind)

            flops = flops_of_a_step(size, batch, way == "published")
            dtype = next(network.parameters()).dtype
            made.append(Variant(f"{way}, batch {batch}", way, batch, dtype, prepare, flops))
    return made


def rounding(size: Size, device: torch.device) -> dict[str, float]:
    """How far one guided evaluation is from the published way in float32, relative to its root mean square: ours in
    float32 (the same arithmetic in another order), and in half precision."""
    maps, x = inputs(size, 1, device)
    time = torch.full((1,), 500, device=device)
    exact = plain_denoiser(seeded_network(size, device, torch.float32), maps, GUIDANCE)(x, time)

    def error(dtype: torch.dtype) -> float:
        output = guided_denoiser(seeded_network(size, device, dtype), maps, GUIDANCE)(x, time)
        return float((output - exact).square().mean().sqrt() / exact.square().mean().sqrt())

    return {str(d).removeprefix("torch."): error(d) for d in (torch.float32, torch.bfloat16, torch.float16)}


@torch.inference_mode()
def measure_sampling(
    size: Size, device: torch.device, steps: int, repeats: int, report: Callable[[str], None]
) -> dict[str, Any]:
    """Rows (one a variant), the machine's matmul peaks and the rounding errors, JSON-serialisable.

    Timed are `steps` guided ancestral steps, noise and sampler included, and apart from them what is prepared once for
    a picture; seconds a picture follow from the two.
    """
    report("rounding errors")
    errors = rounding(size, device)
    variants = _variants(size, device)
    # the last `steps` timesteps of T = 1000 cost what any others do
    schedule = respaced(linear_schedule(), max(2, steps))
    runs: dict[str, Callable[[], object]] = {}
    preparing: dict[str, float] = {}
    for variant in variants:
        _, x = inputs(size, variant.batch, device)
        denoise = variant.prepare()

        def run(denoise: Denoise = denoise, x: Tensor = x) -> Tensor:
            return ancestral(denoise, x, schedule, lambda: torch.randn(x.shape).to(device))

        runs[variant.name] = run
        timed(variant.prepare, device)
        preparing[variant.name] = timed(variant.prepare, device)
    report(f"{len(variants)} variants, {len(schedule)} steps a run")
    peaks = {v.dtype: matmul_peak(device, v.dtype) for v in variants}
    timings = interleaved(runs, repeats, device, report)
    for dtype in peaks:  # again after the runs: the fastest the machine was at any time
        peaks[dtype] = max(peaks[dtype], matmul_peak(device, dtype))
    rows = []
    for variant in variants:
        timing = timings[variant.name]
        step = timing.median / len(schedule)
        rows.append(
            {
                "variant": variant.name,
                "way": variant.way,
                "batch": variant.batch,
                "precision": str(variant.dtype).removeprefix("torch."),
                "ms_per_step": 1e3 * step,
                "ms_per_step_min": 1e3 * min(timing.runs) / len(schedule),
                "ms_per_step_max": 1e3 * max(timing.runs) / len(schedule),
                "ms_per_step_and_image": 1e3 * step / variant.batch,
                "ms_prepare": 1e3 * preparing[variant.name],
                "s_per_image": {str(n): (preparing[variant.name] + n * step) / variant.batch for n in TOLD_STEPS},
                "peak_memory_bytes": timing.peak_bytes,
                "gflop_per_step": variant.flops / 1e9,
                "share_of_matmul_peak": variant.flops / step / peaks[variant.dtype],
            }
        )
    return {
        "steps_timed": len(schedule),
        "repeats": repeats,
        "rows": rows,
        "ratios": _ratios(rows),
        "matmul_peak_gflops": {str(d).removeprefix("torch."): p / 1e9 for d, p in peaks.items()},
        "relative_error_against_float32": errors,
    }


def _ratios(rows: list[dict[str, Any]]) -> dict[str, float]:
    """How many times faster a picture is, batch for batch and for the pairs of issue and paper (1:1 and 8:4)."""
    each = {(row["way"], row["batch"]): row["s_per_image"][str(TOLD_STEPS[0])] for row in rows}
    pairs = ((1, 1), (4, 4), (8, 4))
    return {f"ours batch {a} against published batch {b}": each["published", b] / each["ours", a] for a, b in pairs}
