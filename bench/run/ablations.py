"""Ablations: what each part of the system is worth, run through the same plan, cache and metrics as everything else.

`fds` is the paper's Table 5, with arms that the paper lacks: GESCO's sender without its block and its training,
training behind the block, and GESCO under SDM's guidance. The others ask one question each about GESCO.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.api.errors import known_name
from bench.api.registry import METRICS
from bench.api.scores import stem
from bench.channels.awgn import Awgn
from bench.channels.registry import parse_channel

if TYPE_CHECKING:
    from bench.api.device import Devices
    from bench.config import Config
    from bench.run.plan import Plan

QUALITY = ("mIoU", "LPIPS", "FID")
#: Codecs of the image and of the maps, by the method that sends them.
CODECS = {
    "full_image": ("png", "webp-lossless", "jpeg90", "jpeg75", "jpeg25", "webp75", "avif75", "avif50"),
    "gesco": ("png1", "label-png", "label-webp", "jpeg"),
}
#: The paper's ablation is at this PSNR.
PSNR = 10.0


@dataclass(frozen=True)
class Arm:
    """A row that a table asks for: what stands on its left, its method, and its channel convention (None: any)."""

    labels: tuple[str, ...]
    method: str
    channel: str | None = None


@dataclass(frozen=True)
class Ablation:
    """One question: rows are `arms`, columns `metrics` (where several variants of one exist, `FID` is any of them).

    `remark` is what a caption has to say about the arms, beside the question.
    """

    name: str
    question: str
    headings: tuple[str, ...]
    arms: tuple[Arm, ...]
    metrics: tuple[str, ...] = QUALITY
    paper_tables: tuple[str, ...] = ()
    remark: str = ""


def _option(name: str, question: str, option: str, values: tuple[object, ...]) -> Ablation:
    """An ablation whose arms are the values of one option of GESCO."""
    return Ablation(name, question, (option,), tuple(Arm((str(v),), f"gesco:{option}={v}") for v in values))


#: SDM's guidance, the same on every data set: what GESCO gets in the arms that equal SDM's in it.
EQUAL_GUIDANCE = 1.5
_FDS_REMARK = (
    "Guidance: s of the published code (Eq. 13 counts one less), SDM's 1.5, GESCO's 2 (2.5 on COCO-Stuff's labels). "
    "Rows of one guidance still differ in training beside the noise: the share of maps that became the null label was "
    "0.2 over the last 40 % of the steps for SDM, 0.1 throughout for GESCO (embedded recipes); equal shares need "
    "another training."
)


_ALL = (
    Ablation(
        "fds",
        "the FDS block and noisy training, the paper's Table 5; and training behind FDS",
        ("FDS", "noisy training", "classes sent", "guidance", "method"),
        tuple(
            Arm((fds, noisy, sent, guidance, method), method)
            for fds, noisy, sent, guidance, method in (
                ("✗", "✗", "all", "SDM's", "sdm"),
                ("✗", "✗", "present", "SDM's", "sdm:drop_absent=True"),
                ("✗", "✓", "present", "SDM's", f"gesco-nofds:guidance={EQUAL_GUIDANCE}"),
                ("✗", "✓", "present", "GESCO's", "gesco-nofds"),
                ("✓", "✗", "present", "SDM's", "sdm+fds"),
                ("✓", "✓", "present", "SDM's", f"gesco:guidance={EQUAL_GUIDANCE}"),
                ("✓", "✓", "present", "GESCO's", "gesco"),
                ("✓", "✓ behind FDS", "present", "GESCO's", "gesco_fdstrain"),
            )
        ),
        ("LPIPS", "mIoU"),
        ("5",),
        _FDS_REMARK,
    ),
    _option(
        "guidance",
        "the guidance scale s of the published code, e(0) + s (e(y) - e(0)): s = 2 is the paper's Eq. 13 with s = 1; "
        "the authors' values are 2 on Cityscapes and 2.5 on COCO-Stuff",
        "guidance",
        (1.0, 1.5, 2.0, 2.5, 3.0),
    ),
    _option("steps", "the number of sampling steps", "steps", (5, 10, 25, 50)),
    _option("pooling", "the FDS block's pooling (the paper's is avg-max)", "pool", ("avg-max", "avg", "max", "none")),
    Ablation(
        "calibration",
        "the paper's list of noise levels against its Eq. 1",
        ("calibration", "method"),
        tuple(
            Arm((calibration, method), method, Awgn(10, calibration).convention)
            for method in ("full_image", "gesco")
            for calibration in ("paper", "eq1")
        ),
    ),
    Ablation(
        "codec",
        "bits of the digital payload, and quality behind it, by codec of the image and of the maps (behind lossless "
        "ones a method's pictures differ in the receiver's random numbers only)",
        ("method", "codec"),
        tuple(
            Arm((method, codec), f"{method}:codec={codec}") for method, codecs in CODECS.items() for codec in codecs
        ),
        ("bits", "mIoU", "LPIPS"),
    ),
)  # fmt: skip
ABLATIONS: dict[str, Ablation] = {ablation.name: ablation for ablation in _ALL}


def find_ablation(name: str) -> Ablation:
    """The ablation of that name; UsageError with the nearest one."""
    return ABLATIONS[known_name(name, ABLATIONS, "ablation")]


def plan_ablation(ablation: Ablation, config: Config, devices: Devices | None = None) -> Plan:
    """The plan of all arms over `config`'s scenes, seeds and PSNR, with every variant of the ablation's metrics.

    Arms that name a channel convention get it in place of the configuration's. Raises as `make_plan` does.
    """
    from bench.config import ChannelSection
    from bench.run.plan import Plan, make_plan

    metrics = tuple(name for name in METRICS.names() if stem(name) in ablation.metrics)
    by_channel: dict[str | None, list[str]] = {}
    for arm in ablation.arms:
        by_channel.setdefault(arm.channel, []).append(arm.method)
    plans = []
    for channel, specs in by_channel.items():
        section = config.channel
        if channel is not None:
            kind, options = parse_channel(channel)
            section = ChannelSection(kind=kind, **options)
        run = config.run.model_copy(update={"methods": tuple(specs), "metrics": metrics})
        plans.append(make_plan(config.model_copy(update={"run": run, "channel": section}), devices=devices))
    references = {reference.name: reference for plan in plans for reference in plan.references}
    return Plan(
        tuple(cell for plan in plans for cell in plan.cells),
        plans[0].metrics,
        plans[0].devices,
        tuple(dict.fromkeys(line for plan in plans for line in plan.left_out)),
        tuple(references.values()),
        tuple(failure for plan in plans for failure in plan.failures),
    )
