"""What a method is: the contract between the harness and everything that sends a scene over a channel.

A `Method` is a sender and a receiver. The harness owns the channel between them, so a receiver sees neither the
clean scene nor the channel's PSNR (paper, section 3.2: the receiver is not aware of the channel conditions).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bench.api.errors import MethodError
from bench.api.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bench.api.scenes import LabelSpace, Scene, SceneSource
    from bench.api.training.task import TrainingTask
    from bench.api.weights import Weights


@dataclass(frozen=True)
class Transmission:
    """What a sender hands over for a batch of B scenes; every field has one entry a scene.

    `symbols`: float32 tensors of any shape, what the channel corrupts, peak power <= 1 (values in [-1, 1]). The
    harness counts them (channel uses) and their energy.
    `side_info`: bytes that the receiver gets free of error. The harness counts them, 8 bits a byte.
    `bits`: size of the digital payload under the method's codec, without the side information; integers >= 0.
    """

    symbols: tuple[Tensor, ...]
    side_info: tuple[bytes, ...]
    bits: tuple[int, ...]


@dataclass(frozen=True)
class Received:
    """What reaches the receiver: the corrupted symbols and the error-free side information, one entry a scene.

    `snr_db` is for a method that knows the channel (`Method.known_power`), empty for all others.
    """

    symbols: tuple[Tensor, ...]
    side_info: tuple[bytes, ...]
    snr_db: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.symbols)


@dataclass(frozen=True)
class MethodContext:
    """Where a method is asked to work: everything `Method.__init__` needs to find weights and build networks.

    `device_name` is what PyTorch calls the device. `weights_dir` is a folder that somebody named; `weights` the name of
    weights of their own, a folder in it, or in the user's folder of weights where that is None. Without either the
    weights are the package's (`bench.api.weights.find_weights`).
    """

    dataset: str
    label_space: LabelSpace
    height: int
    width: int
    profile: str = "embedded"
    device_name: str = "cpu"
    weights_dir: Path | None = None
    weights: str = ""

    @classmethod
    def of(
        cls, source: SceneSource, profile: str = "embedded", device_name: str = "cpu", weights_dir: Path | None = None
    ) -> MethodContext:
        """The context of a data set at its size."""
        return cls(source.name, source.label_space, source.height, source.width, profile, device_name, weights_dir)

    @property
    def device(self) -> torch.device:
        """The PyTorch device."""
        return torch.device(self.device_name)


class Method(ABC):
    """A sender and a receiver. Subclasses are found through the entry-point group `bench.methods`.

    `default_options` names every option with its default; the options in force are `self.options`. Anything that
    can change a method's output has to be in `identity()`, because the cache key is made of it.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    #: The method that this one is a variant of (another arm of an ablation): not part of `all`, run by its own name.
    variant_of: ClassVar[str | None] = None
    #: Run where it is named, not as part of `all`: it is none of the paper's comparison.
    by_name: ClassVar[bool] = False
    #: Bumped whenever the method's own code changes its output for equal options and weights.
    code_version: ClassVar[int] = 1
    default_options: ClassVar[Mapping[str, Any]] = {}
    #: The weights file in use.
    weights: Weights | None = None
    #: What `+digital` sets: the codec that makes the payload, say.
    digital_options: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, context: MethodContext, options: Mapping[str, Any] | None = None) -> None:
        """Keep `context` and the validated `options`; raises MethodError where weights or a dataset do not fit."""
        self.context = context
        self.options: dict[str, Any] = {**self.default_options, **(options or {})}

    def check_choice(self, option: str, valid: Iterable[str]) -> None:
        """MethodError unless the option's value is one of `valid`."""
        if self.options[option] not in valid:
            raise MethodError(f"unknown {option} '{self.options[option]}' for {self.name}; known: {', '.join(valid)}")

    def prepare(self) -> None:  # noqa: B027 - most need nothing
        """Load what sending and receiving need, such as a network; the harness calls it before the first scene.

        Building a method should tell what it is, fast: a run whose cells are all cached never comes here. MethodError
        where weights do not fit.
        """

    @property
    def known_power(self) -> float | None:
        """Mean square of the symbols of a method that knows the channel, None for one that does not.

        Both ends of such a method are told the nominal signal-to-noise ratio of symbols of this power.
        """
        return None

    @abstractmethod
    def send(self, scene: Scene) -> Transmission:
        """Turn a batch of scenes into symbols with peak power <= 1, side information and their costs."""

    def send_knowing(self, scene: Scene, snr_db: Sequence[float]) -> Transmission:
        """`send` of a method that knows the channel, told one ratio a scene (`known_power`), infinite without noise."""
        raise MethodError(f"'{self.name}' is told nothing of the channel")

    @abstractmethod
    def receive(self, received: Received, rngs: Sequence[torch.Generator]) -> Tensor:
        """Regenerate the images, (B, 3, H, W) float32 in [0, 1].

        `rngs` holds one CPU generator a scene: all randomness of scene b must be drawn from `rngs[b]`, so that an
        image depends neither on the batch nor on the order in which scenes are run.
        """

    def encode(self, scene: Scene, room: int | None = None) -> tuple[bytes | None, ...]:
        """What a digital link carries in place of symbols (`+digital`): one payload a scene, of at most `room` bytes.

        The harness frames, codes and modulates it, and counts all of that. MethodError for a method that sends no
        bytes. None for a scene of which nothing fits: nothing is sent then, and its block counts as lost.
        """
        raise MethodError(f"'{self.name}' sends no bytes, so '+digital' does not apply to it")

    def decode(self, payloads: Sequence[bytes | None], rngs: Sequence[torch.Generator]) -> Tensor:
        """Regenerate the images as `receive` does, (B, 3, H, W) float32 in [0, 1], from payloads.

        None stands where a scene's block was lost; what the method shows then, its concealment, it says here. Bytes
        may hold errors where the link has no code.
        """
        raise MethodError(f"'{self.name}' reads no bytes, so '+digital' does not apply to it")

    def weights_digest(self) -> str | None:
        """SHA-256 of the weights file in use, or None for a method without weights."""
        return self.weights.sha256 if self.weights else None

    @classmethod
    def build_network(cls, context: MethodContext) -> nn.Module:
        """The network of the context's profile whose weights are loaded, randomly initialised; nothing is read.

        MethodError for a method without weights, or a context that the method does not fit.
        """
        raise MethodError(f"'{cls.name}' has no weights")

    @classmethod
    def training_task(cls, context: MethodContext, options: Mapping[str, Any] | None = None) -> TrainingTask:
        """How `bench train` trains this method in `context`, with `options` of the recipe (`bench train --option`) set.

        MethodError for a method without training, or an option that it does not have.
        """
        raise MethodError(f"'{cls.name}' has no training")

    def identity(self) -> dict[str, Any]:
        """Everything that determines the method's output, as JSON-serialisable data: the heart of the cache key."""
        return {
            "name": self.name,
            "code_version": self.code_version,
            "options": dict(sorted(self.options.items())),
            "weights_sha256": self.weights_digest(),
            "profile": self.context.profile,
        }
