"""What the same work takes in code that others published: GESCO's and SDM's sampler, the networks behind FID."""

from __future__ import annotations

import copy
import importlib.metadata
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch

from bench.api.metric import MetricContext
from bench.speed.published import in_published_arithmetic
from bench.speed.timing import count_flops, matmul_peak, timed
from methods.common.diffusion.guidance import guided_denoiser, plain_denoiser, with_variance
from methods.common.diffusion.method import DiffusionMethod
from metrics.evaluators.published import INCEPTION
from metrics.fid import FrechetInception, fid_network

if TYPE_CHECKING:
    from torch import Tensor

    from bench.api.method import Method
    from methods.common.diffusion.samplers import Denoise

OURS = "ours"


@dataclass(frozen=True)
class Anchor:
    """The same work done in several ways, `OURS` first: way -> a call.

    `steps` are a sampler's. `missing` are packages of other ways that are not installed.
    """

    work: str
    ways: Mapping[str, Callable[[], Tensor]]
    steps: int | None = None
    missing: tuple[str, ...] = ()


def sampler(method: Method, pictures: Tensor) -> Anchor | None:
    """A guided method's sampling of as many pictures, and the published way: None for other methods.

    The network, its weights, the sampler and its steps are the same. The published way evaluates the network twice a
    step and makes every modulation anew in each, in the published arithmetic.
    """
    if not isinstance(method, DiffusionMethod) or (scale := method.options["guidance"]) <= 1:
        return None
    device = method.context.device
    published = in_published_arithmetic(copy.deepcopy(method.network))
    dtype = next(published.parameters()).dtype
    maps = torch.zeros(len(pictures), method.profile.network.map_channels, *pictures.shape[2:], device=device)
    draw = partial(torch.randn, pictures.shape, device=device)

    def sample(denoiser: Callable[[], Denoise]) -> Tensor:
        denoise = with_variance(denoiser(), method.options["variance"])
        return method.sampler.sample(denoise, draw(), method.schedule, draw, method.profile.prediction)

    steps = len(method.schedule)
    return Anchor(
        f"sampler of {method.name}, {steps} guided steps",
        {
            OURS: lambda: sample(lambda: guided_denoiser(method.network, maps, scale)),
            "published": lambda: sample(lambda: plain_denoiser(published, maps.to(dtype), scale)),
        },
        steps,
    )


class _Untrained(FrechetInception):
    """`FID[inception]` with the weights of any file."""

    @classmethod
    def _find(cls, context: MetricContext) -> Path:
        assert context.weights_dir is not None
        return context.weights_dir / INCEPTION.file

    def features_of(self, pictures: Tensor) -> Tensor:
        """Features as `measure` has them, (B, 2048)."""
        return torch.from_numpy(self._features(pictures))


def inception(pictures: Tensor, context: MetricContext) -> Anchor:
    """FID's features of pictures (B, 3, H, W) in [0, 1] by us, by `pytorch-fid` and by `torch-fidelity`.

    All have the same random weights: time does not depend on them, and the published ones are a download.
    """
    from pytorch_fid import inception as theirs

    device = context.device
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / INCEPTION.file
        state = fid_network().state_dict()
        torch.save(state, file)
        ours = _Untrained(MetricContext(context.dataset, context.label_space, context.device_name, Path(name)))
        ours.prepare()
        with mock.patch.object(theirs, "load_state_dict_from_url", return_value=state):
            plain = theirs.InceptionV3().eval().to(device)
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

            fidelity = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(file)).to(device)
        except ImportError:
            fidelity = None
    given = pictures.to(device)
    ways: dict[str, Callable[[], Tensor]] = {
        OURS: lambda: ours.features_of(pictures),
        _named("pytorch-fid"): lambda: plain(given)[0].flatten(1),
    }
    if fidelity is not None:
        whole = (given * 255).round().byte()
        ways[_named("torch-fidelity")] = lambda: fidelity(whole)[0]
    return Anchor("features of FID[inception]", ways, missing=() if fidelity else ("torch-fidelity",))


def _named(package: str) -> str:
    return f"{package} {importlib.metadata.version(package)}"


def measure_anchor(
    anchor: Anchor, pictures: int, rounds: int, where: torch.device, clock: Callable[[], float]
) -> tuple[list[dict[str, Any]], float]:
    """Rows (one a way), seconds and operations of one picture, and the matmul peak beside them.

    The ways run in turn, after a round that is not counted; the fastest counts.
    """
    rounds_of: dict[str, list[float]] = {way: [] for way in anchor.ways}
    peaks = []
    for _ in range(1 + rounds):
        peaks.append(matmul_peak(where, torch.float32, clock))
        for way, call in anchor.ways.items():
            rounds_of[way].append(timed(call, where, clock) / pictures)
    rows = [
        {
            "work": anchor.work,
            "steps": anchor.steps,
            "way": way,
            "seconds": min(rounds_of[way][1:]),
            "operations": count_flops(call) / pictures,
        }
        for way, call in anchor.ways.items()
    ]
    return rows, max(peaks)
