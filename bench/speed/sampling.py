"""`bench speed sampling`: ours against the published way, side by side in one process, and whole pictures of students.

The published way: float16 on CUDA (float32 on the CPU), the published network's arithmetic, two evaluations a step,
each of them computing every SPADE layer's gamma and beta anew. Ours: the way `methods.common.diffusion.method` samples.
A student is `gesco_fast`: few evaluations without guidance.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bench.speed.published import in_published_arithmetic
from bench.speed.timing import CHANNELS, Size, count_flops, interleaved, matmul_peak, peak_memory, timed
from methods.common.diffusion.compiled import CompiledNetwork
from methods.common.diffusion.few_steps import SAMPLER, few_steps
from methods.common.diffusion.guidance import guided_denoiser, plain_denoiser
from methods.common.diffusion.samplers import SAMPLERS, Denoise, ancestral
from methods.common.diffusion.schedule import NoiseSchedule, linear_schedule, respaced
from methods.common.diffusion.unet import SemanticUNet

#: s of the published code for Cityscapes.
GUIDANCE = 2.0
#: The steps that seconds a picture are told for: the paper's T, and what the fast samplers need.
TOLD_STEPS = (1000, 25, 10)
#: (way, batch) of what is timed in turn; the groups one after the other, so that their memory need not fit at once.
GROUPS = ((("published", 1), ("ours", 1)), (("published", 4), ("ours", 4), ("ours", 8)))
#: Ours against published, as pairs of batch sizes.
COMPARED = ((1, 1), (4, 4), (8, 4))
#: (evaluations, batch) of the students: how long one picture takes, and how many a second there are.
STUDENTS = ((1, 1), (2, 1), (1, 8), (2, 8))
FLOAT8 = torch.float8_e4m3fn


@dataclass(frozen=True)
class Variant:
    """One way of sampling at one batch size, ready to run: `steps` is the timed run, the rest was measured before."""

    way: str
    batch: int
    dtype: torch.dtype
    steps: Callable[[], Tensor]
    prepare_seconds: float
    peak_bytes: int | None

    @property
    def name(self) -> str:
        """Way and batch size, as in the tables."""
        return f"{self.way}, batch {self.batch}"


def seeded_network(size: Size, device: torch.device, dtype: torch.dtype) -> SemanticUNet:
    """The network with weights from a fixed seed, frozen."""
    torch.manual_seed(0)
    return SemanticUNet(size.network).eval().requires_grad_(False).to(device=device, dtype=dtype)


def spread(values: Tensor) -> Tensor:
    """Values of 16x16 blocks at every pixel: (B, H / 16, W / 16) -> (B, H, W)."""
    return values.repeat_interleave(16, 1).repeat_interleave(16, 2)


def inputs(size: Size, batch: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """One-hot maps of random 16x16 blocks with an empty edge channel, and x: the same for every variant."""
    generator = torch.Generator().manual_seed(batch)
    labels = spread(torch.randint(CHANNELS - 1, (batch, size.height // 16, size.width // 16), generator=generator))
    maps = torch.nn.functional.one_hot(labels, CHANNELS).permute(0, 3, 1, 2).float()
    x = torch.randn(batch, 3, size.height, size.width, generator=generator)
    return maps.to(device), x.to(device)


def flops_of_a_step(size: Size, batch: int, plain: bool) -> int:
    """Operations of one guided step, with what it conditions anew; counted on tensors without contents."""
    network, maps, x, time = _without_contents(size, batch)
    denoise = (plain_denoiser if plain else guided_denoiser)(network, maps, GUIDANCE)
    return count_flops(lambda: denoise(x, time))


def _without_contents(size: Size, batch: int) -> tuple[SemanticUNet, Tensor, Tensor, Tensor]:
    """Network, maps, x and timesteps on which operations are counted, not computed."""
    with torch.device("meta"):
        maps, x = (torch.empty(batch, channels, size.height, size.width) for channels in (CHANNELS, 3))
        return SemanticUNet(size.network), maps, x, torch.zeros(batch, dtype=torch.long)


def _made(
    way: str, batch: int, size: Size, device: torch.device, network: SemanticUNet, schedule: NoiseSchedule
) -> Variant:
    """Set one variant up and warm it up with a run that is not counted."""
    maps, x = inputs(size, batch, device)
    dtype = next(network.parameters()).dtype
    # a graph of its own for each variant, so that none has to be captured anew between the runs
    bind = CompiledNetwork(network).bind if device.type == "cuda" and way == "ours" else None

    def prepare() -> Denoise:
        if way == "published":
            return plain_denoiser(network, maps.to(dtype), GUIDANCE)
        return guided_denoiser(network, maps, GUIDANCE, bind)

    def draw() -> Tensor:
        noise = torch.randn(x.shape)
        return noise.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else noise

    ready: list[Denoise] = []

    def warm_up() -> None:
        ready.append(prepare())
        ancestral(ready[0], x, schedule, draw)

    # `bind` writes into the captured buffers from the second time on, so the time is that of any further picture
    peak = peak_memory(warm_up, device)
    seconds = timed(lambda: ready.append(prepare()), device)
    denoise = ready.pop()
    ready.clear()
    return Variant(way, batch, dtype, lambda: ancestral(denoise, x, schedule, draw), seconds, peak)


@dataclass(frozen=True)
class Student:
    """Pictures of a student at one batch size; `picture` makes a batch of them, conditioning and all."""

    evaluations: int
    batch: int
    picture: Callable[[], Tensor]
    peak_bytes: int | None

    @property
    def name(self) -> str:
        """Evaluations and batch size, as in the tables."""
        return f"{self.evaluations} evaluation{'s' if self.evaluations > 1 else ''}, batch {self.batch}"


def _student(evaluations: int, batch: int, size: Size, device: torch.device, network: SemanticUNet) -> Student:
    """Set one up and warm it up with pictures that are not counted."""
    maps, x = inputs(size, batch, device)
    bind = CompiledNetwork(network).bind if device.type == "cuda" else None

    def picture() -> Tensor:
        denoise = guided_denoiser(network, maps, 1.0, bind)
        return SAMPLERS[SAMPLER].sample(denoise, x, few_steps(evaluations), lambda: x, "epsilon")

    return Student(evaluations, batch, picture, peak_memory(picture, device))


def flops_of_a_picture(size: Size, evaluations: int) -> int:
    """Operations of a student's picture, conditioning and all; counted on tensors without contents."""
    network, maps, x, time = _without_contents(size, 1)

    def picture() -> None:
        denoise = guided_denoiser(network, maps, 1.0)
        for _ in range(evaluations):
            denoise(x, time)

    return count_flops(picture)


def _students(
    size: Size, device: torch.device, network: SemanticUNet, repeats: int, report: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Rows of `STUDENTS`, all timed in turn."""
    report("warm-up: students")
    students = [_student(evaluations, batch, size, device, network) for evaluations, batch in STUDENTS]
    timings = interleaved({s.name: s.picture for s in students}, repeats, device, report)
    gflop = {evaluations: flops_of_a_picture(size, evaluations) / 1e9 for evaluations in dict(STUDENTS)}
    rows = []
    for student in students:
        runs = timings[student.name]
        each = statistics.median(runs) / student.batch
        rows.append(
            {
                "student": student.name,
                "evaluations": student.evaluations,
                "batch": student.batch,
                "ms_per_image": 1e3 * each,
                "ms_per_image_min": 1e3 * min(runs) / student.batch,
                "ms_per_image_max": 1e3 * max(runs) / student.batch,
                "images_per_second": 1 / each,
                "peak_memory_bytes": student.peak_bytes,
                "gflop_per_image": gflop[student.evaluations],
            }
        )
    return rows


def in_float8(network: SemanticUNet) -> SemanticUNet:
    """Weights and inputs of convolutions and linear layers rounded to float8 (e4m3), the rest as the network has it.

    One scale a tensor, so that its largest value is the format's. It tells the error of products in float8, not their
    speed: the products themselves are in the network's own precision.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
            module.weight.data = _rounded(module.weight)
            module.register_forward_pre_hook(lambda _, given: (_rounded(given[0]),))
    return network


def _rounded(values: Tensor) -> Tensor:
    scale = torch.finfo(FLOAT8).max / values.abs().max().float().clamp_min(1e-12)
    return ((values.float() * scale).to(FLOAT8).float() / scale).to(values.dtype)


def rounding(size: Size, device: torch.device) -> dict[str, float]:
    """The error of one guided evaluation, by precision, relative to the published way's root mean square in float32.

    Ours in float32 is the same arithmetic in another order. Float32 is float32 here: no TensorFloat-32, which PyTorch
    allows convolutions on CUDA. For float8 see `in_float8`.
    """
    maps, x = inputs(size, 1, device)
    time = torch.full((1,), 500, device=device)

    def error(network: SemanticUNet) -> float:
        output = guided_denoiser(network, maps, GUIDANCE)(x, time)
        return float((output - exact).square().mean().sqrt() / exact.square().mean().sqrt())

    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        exact = plain_denoiser(seeded_network(size, device, torch.float32), maps, GUIDANCE)(x, time)
        dtypes = (torch.float32, torch.bfloat16, torch.float16)
        errors = {_name(dtype): error(seeded_network(size, device, dtype)) for dtype in dtypes}
        return errors | {_name(FLOAT8): error(in_float8(seeded_network(size, device, torch.bfloat16)))}


@torch.inference_mode()
def measure_sampling(
    size: Size, device: torch.device, steps: int, repeats: int, report: Callable[[str], None]
) -> dict[str, Any]:
    """Rows (one a variant), students, the machine's matmul peaks and the rounding errors, JSON-serialisable.

    Timed are `steps` guided ancestral steps, noise and sampler included, and apart from them what is prepared once for
    a picture; seconds a picture follow from the two. A variant for which the device has not enough memory is named in
    `left_out`.
    """
    report("rounding errors")
    errors = rounding(size, device)
    cuda = device.type == "cuda"
    networks = {
        "published": in_published_arithmetic(seeded_network(size, device, torch.float16 if cuda else torch.float32)),
        "ours": seeded_network(size, device, torch.bfloat16 if cuda else torch.float32),
    }
    networks["ours"].to(memory_format=torch.channels_last)
    # any timesteps cost the same, so few of them, evenly spaced, stand for T = 1000
    schedule = respaced(linear_schedule(), steps)
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    peaks: dict[torch.dtype, float] = {}
    for group in GROUPS:
        variants = []
        for way, batch in group:
            report(f"warm-up: {way}, batch {batch}")
            try:
                variants.append(_made(way, batch, size, device, networks[way], schedule))
            except torch.cuda.OutOfMemoryError as error:
                left_out.append(f"{way}, batch {batch}: {error}")
        for dtype in {v.dtype for v in variants}:
            peaks[dtype] = max(peaks.get(dtype, 0.0), matmul_peak(device, dtype))
        timings = interleaved({v.name: v.steps for v in variants}, repeats, device, report)
        for dtype in {v.dtype for v in variants}:  # again: the peak is the fastest the machine was at any time
            peaks[dtype] = max(peaks[dtype], matmul_peak(device, dtype))
        rows += [_row(v, timings[v.name], len(schedule), size) for v in variants]
        del variants
        if cuda:
            torch.cuda.empty_cache()
    students = _students(size, device, networks["ours"], repeats, report)
    named = {_name(dtype): peak for dtype, peak in peaks.items()}
    for row in rows:
        row["share_of_matmul_peak"] = row["gflop_per_step"] * 1e9 / (row["ms_per_step"] / 1e3) / named[row["precision"]]
    # how many times faster a picture of T = 1000 is made, where both batch sizes were measured
    each = {(row["way"], row["batch"]): row["s_per_image"][str(TOLD_STEPS[0])] for row in rows}
    return {
        "steps_timed": len(schedule),
        "repeats": repeats,
        "rows": rows,
        "left_out": left_out,
        "students": students,
        "ratios": {
            f"ours at batch {ours} against published at batch {theirs}": each["published", theirs] / each["ours", ours]
            for ours, theirs in COMPARED
            if ("ours", ours) in each and ("published", theirs) in each
        },
        "matmul_peak_gflops": {name: peak / 1e9 for name, peak in named.items()},
        "relative_error_against_float32": errors,
    }


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _row(variant: Variant, runs: list[float], steps: int, size: Size) -> dict[str, Any]:
    step = statistics.median(runs) / steps
    told = {str(n): (variant.prepare_seconds + n * step) / variant.batch for n in TOLD_STEPS}
    return {
        "variant": variant.name,
        "way": variant.way,
        "batch": variant.batch,
        "precision": _name(variant.dtype),
        "ms_per_step": 1e3 * step,
        "ms_per_step_min": 1e3 * min(runs) / steps,
        "ms_per_step_max": 1e3 * max(runs) / steps,
        "ms_per_step_and_image": 1e3 * step / variant.batch,
        "ms_prepare": 1e3 * variant.prepare_seconds,
        "s_per_image": told,
        "peak_memory_bytes": variant.peak_bytes,
        "gflop_per_step": flops_of_a_step(size, variant.batch, variant.way == "published") / 1e9,
    }
