"""Deep joint source-channel coding as a method: bandwidth ratios, what it was trained for, and its peak power.

The network is that of Bourtsoulatze, Burth Kurka and Gündüz (IEEE TCCN 2019, arXiv 1809.01733, figure 2); `adaptive`
is the attention of Xu et al. (IEEE TCSVT 2021, arXiv 2012.00533), whose two ends are told the signal-to-noise ratio.

It sends pictures. As published the symbols of a scene have mean power 1; the channel here limits the peak, so they are
clipped at `PEAK` and sent as shares of it, in training too. Under `--power average` the harness undoes that scaling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from bench.api.errors import MethodError
from bench.api.lazy import torch
from bench.api.method import Method, MethodContext, Received, Transmission
from bench.api.specs import apply_options
from bench.api.weights import Weights, weights_in_use, weights_name
from methods.common.gan.method import check_context

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bench.api.scenes import Scene
    from bench.api.training.task import TrainingTask

#: Bandwidth ratios: complex channel uses a colour value of the picture.
RATIOS = ("1/12", "1/6", "1/3")
#: What a network was trained for: a mean signal-to-noise ratio in dB, or all of them (`EVERY_SNR`).
TRAINED = ("all", "10")
#: Mean signal-to-noise ratios (dB) that `all` draws from: those of the paper's labels under peak and average power.
EVERY_SNR = (-6.0, 26.0)
ACTIVATIONS = ("prelu", "gdn")
#: Largest amplitude of a symbol, in units of the root mean square; larger ones are clipped.
PEAK = 2.0
#: What an adaptive network is told of a clean channel, in dB.
CLEAN_SNR = 40.0


@dataclass(frozen=True)
class DeepJsccProfile:
    """One network and its training.

    `ratio` one of RATIOS, `trained` one of TRAINED, `activation` one of ACTIVATIONS. Adam at `rate`, which falls
    linearly to zero from `constant` of the steps on, on the mean squared error; a moving average of decay `ema` ships.
    """

    ratio: str = "1/6"
    trained: str = "all"
    adaptive: bool = False
    activation: str = "prelu"
    widths: tuple[int, int] = (16, 32)
    batch_size: int = 16
    steps: int = 8000
    rate: float = 1e-3
    constant: float = 0.5
    ema: float = 0.999

    def __post_init__(self) -> None:
        """MethodError for what there is no network of."""
        for name, known in (("ratio", RATIOS), ("trained", TRAINED), ("activation", ACTIVATIONS)):
            if getattr(self, name) not in known:
                raise MethodError(f"{name}={getattr(self, name)} of deepjscc; known: {', '.join(known)}")

    @property
    def channels(self) -> int:
        """Of the bottleneck, at a quarter of the picture's sides: 96 times the ratio."""
        return int(96 * Fraction(self.ratio))

    @property
    def variant(self) -> str:
        """What the weights file is called after the method's name."""
        parts = [self.ratio.replace("/", "_"), self.trained]
        parts += ["adaptive"] if self.adaptive else []
        parts += [self.activation] if self.activation != "prelu" else []
        return "".join(f"-{part}" for part in parts)


class DeepJscc(Method):
    """Deep joint source-channel coding of the picture (Bourtsoulatze et al. 2019; adaptive: Xu et al. 2021).

    Options: `ratio` 1/12, 1/6 or 1/3; `trained` on all signal-to-noise ratios or at 10 dB; `adaptive` knows the channel
    at both ends.
    """

    name: ClassVar[str] = "deepjscc"
    title: ClassVar[str] = "DeepJSCC"
    by_name: ClassVar[bool] = True
    default_options: ClassVar[Mapping[str, Any]] = {
        "ratio": "1/6", "trained": "all", "adaptive": False, "activation": "prelu",
    }  # fmt: skip
    weights: Weights

    def __init__(self, context: MethodContext, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(context, options)
        self.profile = profile_for(context, **self.options)
        self.weights = weights_in_use(self.name, context, self.profile.variant)

    @property
    def known_power(self) -> float | None:
        """The adaptive one's, if nothing were clipped."""
        return 1 / PEAK**2 if self.profile.adaptive else None

    @cached_property
    def network(self) -> Any:
        """The profile's network with its weights; MethodError where they do not fit."""
        from bench.api.tensors import load_network
        from methods.deepjscc.network import Autoencoder

        return load_network(lambda: Autoencoder(self.profile), self.weights, self.context)

    def prepare(self) -> None:
        """Load the network."""
        _ = self.network

    @classmethod
    def build_network(cls, context: MethodContext) -> nn.Module:
        """The network of the default options."""
        from methods.deepjscc.network import Autoencoder

        return Autoencoder(profile_for(context))

    @classmethod
    def training_task(cls, context: MethodContext, options: Mapping[str, Any] | None = None) -> TrainingTask:
        """The task of the profile with the options set."""
        from methods.deepjscc.task import DeepJsccTask

        [profile] = apply_options(options or {}, cls.name, [profile_for(context)], fixed=("steps", "widths"))
        return DeepJsccTask(context, profile, weights_name(cls.name, context, profile.variant))

    def send(self, scene: Scene) -> Transmission:
        """Symbols (channels, H/4, W/4) in [-1, 1]. They have no digital form: 32 bits each are counted."""
        return self._sent(scene, None)

    def send_knowing(self, scene: Scene, snr_db: Sequence[float]) -> Transmission:
        """The same by the adaptive network, told the ratio of each scene."""
        return self._sent(scene, snr_db)

    def _sent(self, scene: Scene, snr_db: Sequence[float] | None) -> Transmission:
        device = self.context.device
        with torch.inference_mode():
            symbols = self.network.encode(scene.image.to(device), _told(snr_db, device)).cpu() / PEAK
        count = symbols[0].numel()
        return Transmission(tuple(symbols.clone()), (b"",) * len(scene), (32 * count,) * len(scene))

    def receive(self, received: Received, rngs: Sequence[torch.Generator]) -> Tensor:
        """The decoder's pictures."""
        device = self.context.device
        with torch.inference_mode():
            symbols = torch.stack(received.symbols).to(device) * PEAK
            pictures: Tensor = self.network.decode(symbols, _told(received.snr_db or None, device)).cpu()
        return pictures.clamp(0, 1).clone()


def profile_for(context: MethodContext, **options: Any) -> DeepJsccProfile:
    """The profile that a context names: the published network in both, trained longer at paper size."""
    check_context(context, DeepJscc.name, {"embedded": 4, "paper": 4})
    paper: dict[str, Any] = {"batch_size": 64, "steps": 100_000} if context.profile == "paper" else {}
    return DeepJsccProfile(**paper, **options)


def _told(snr_db: Sequence[float] | None, device: torch.device) -> Tensor | None:
    """Ratios as the network is told them, (B,) float32, that of a clean channel for any that is higher."""
    return None if snr_db is None else torch.tensor(snr_db, dtype=torch.float32, device=device).clamp(max=CLEAN_SNR)
