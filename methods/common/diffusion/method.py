"""What the diffusion methods share as methods of the benchmark: one network, one sampler, guidance."""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from bench.api.errors import MethodError
from bench.api.lazy import Tensor, torch
from bench.api.method import MethodContext
from bench.api.scenes import facts_of
from bench.api.weights import Weights, weights_in_use
from methods.common.diffusion.profile import DiffusionProfile, Variance, as_trained, check_sides, configured
from methods.common.diffusion.samplers import RECORDED, SAMPLERS, sampler_name
from methods.common.diffusion.schedule import linear_schedule
from methods.common.semantic.frontend import SemanticMethod

if TYPE_CHECKING:
    from bench.api.training.task import TrainingTask
    from methods.common.diffusion.compiled import CompiledNetwork
    from methods.common.diffusion.memory import Batches
    from methods.common.diffusion.samplers import Denoise
    from methods.common.diffusion.schedule import NoiseSchedule
    from methods.common.diffusion.unet import SemanticUNet
    from methods.common.semantic.maps import Edges

log = logging.getLogger("bench")

#: Values of the option `precision`: of weights and activations at inference; the sampler's own arithmetic is float32.
PRECISIONS = ("float32", "bfloat16", "float16")
#: Values of the option `compile`.
COMPILE = ("auto", "always", "never")


def precision_on(device: torch.device, precision: str) -> torch.dtype:
    """The type behind the option `precision`: "auto" is bfloat16 on CUDA and float32 elsewhere."""
    if precision == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return getattr(torch, precision)  # type: ignore[no-any-return]


class DiffusionMethod(SemanticMethod):
    """A semantic diffusion model behind the semantic front end.

    Options beside those of the front end: `sampler` (an entry of `SAMPLERS`), `steps` (of T = 1000, by respacing)
    and `guidance`, s in out(0) + s (out(y) - out(0)), as in the published code: s = 2 is the paper's Eq. 13 with s = 1,
    and 1 switches it off. Without it the method's own value for the data set holds.

    Left out, sampler and steps are those that the weights' card names, else the profile's: 10 of `ddim-eta1-quadratic`
    embedded, 25 of `ddim` at paper size, chosen in results/performance/README.md; the papers' own are
    `sampler=ancestral:steps=1000`.
    `variance`, of `ancestral` and `ancestral-dt`, is "learned", "fixed_small" or "fixed_large"; "auto" is "learned" but
    for networks known to have learned none. The authors' checkpoint may be one: their published code trains no
    variance, though it samples with it.

    `precision` is an entry of `PRECISIONS` or "auto", `compile` one of `COMPILE`: on CUDA a network
    with many steps to do is compiled. Neither changes what is computed, only its rounding.
    """

    #: The training of this method, `package.module:Class`, built from context and profile: on clean maps, where nothing
    #: else is said.
    task_class: ClassVar[str] = "methods.common.diffusion.task:DiffusionTask"
    weights: Weights
    #: Whether `guidance` is that of the paper's data set, where it names one, and not that of `default_options`.
    papers_guidance: ClassVar[bool] = False
    #: 2: the deterministic samplers start from pure noise and drop what clipping takes from x_0
    code_version: ClassVar[int] = 2
    default_options: ClassVar[Mapping[str, Any]] = {
        "sampler": "auto",
        "steps": 0,
        "guidance": 1.0,
        "variance": "auto",
        "precision": "auto",
        "compile": "auto",
    }

    def __init__(self, context: MethodContext, options: Mapping[str, Any] | None = None) -> None:
        given = options or {}
        super().__init__(context, options)
        if "guidance" not in given and self.papers_guidance:
            self.options["guidance"] = facts_of(context.dataset).guidance or self.options["guidance"]
        usual = self.profile_for(context)
        check_sides(context, usual)  # what is impossible is said before what is missing
        self._check_options(given)
        self.weights = weights_in_use(self.name, context)
        self.profile = as_trained(usual, self.weights.facts, str(self.weights.path))
        if given.get("edges", "auto") == "auto":
            self.options["edges"] = self.profile.edges
        if self.options["sampler"] == "auto":
            self.options["sampler"] = self.profile.sampler
        if "steps" not in given:
            self.options["steps"] = self.profile.sampling_steps
        chosen = self.options["variance"] != "auto"
        if not chosen:
            self.options["variance"] = self.profile.variance
        name = sampler_name(self.options["sampler"])
        if name not in SAMPLERS:
            raise MethodError(
                f"{self.weights.path} names the sampler '{self.options['sampler']}', which this version does not have; "
                f"name one: {self.name}:sampler=... ({', '.join(SAMPLERS)})"
            )
        self.sampler = SAMPLERS[name]
        if chosen and not self.sampler.reads_variance:
            readers = ", ".join(name for name, sampler in SAMPLERS.items() if sampler.reads_variance)
            raise MethodError(
                f"{self.name}: variance={self.options['variance']} would change nothing, because sampler="
                f"{self.options['sampler']} takes no variance from the network; choose one that does ({readers}) or "
                "leave variance out"
            )
        try:
            self.schedule = self._respaced(self.options["steps"])
        except ValueError as error:
            raise MethodError(f"option steps={self.options['steps']} of {self.name}: {error}") from None
        self.options["sampler"] = RECORDED.get(name, name)  # a part of the cache's key
        self._compiled: CompiledNetwork | None = None
        self._largest_batch = 0

    @cached_property
    def network(self) -> SemanticUNet:
        """The U-Net with its weights, in the precision of the options; MethodError where they do not fit."""
        from bench.api.tensors import load_network
        from methods.common.diffusion.unet import SemanticUNet

        network = load_network(lambda: SemanticUNet(self.profile.network), self.weights, self.context)
        return network.to(precision_on(self.context.device, self.options["precision"]))

    @cached_property
    def batches(self) -> Batches:
        """How many pictures are sampled at once."""
        from methods.common.diffusion.memory import Batches, planned_batch

        here, guided = self.context, self.options["guidance"] > 1
        return Batches(planned_batch(self.network, here.height, here.width, guided, here.device))

    def prepare(self) -> None:
        """Load the network and look at the free memory."""
        _ = self.batches

    def _respaced(self, steps: int) -> NoiseSchedule:
        """The timesteps that are sampled; ValueError for a number that the sampler cannot have."""
        return self.sampler.respaced(linear_schedule(), steps)

    def _check_options(self, given: Mapping[str, Any]) -> None:
        """MethodError for a value that no sampling can have; `given` are the options that were not left out."""
        choices: dict[str, tuple[str, ...]] = {
            "sampler": ("auto", *SAMPLERS),
            "variance": ("auto", *get_args(Variance)),
            "precision": ("auto", *PRECISIONS),
            "compile": COMPILE,
        }
        for option, valid in choices.items():
            if sampler_name(self.options[option]) not in valid:
                self.check_choice(option, valid)
        if given.get("sampler") in RECORDED.values() and log.handlers:  # handlers: once, not in every worker
            log.warning("sampler=%s is called %s now", given["sampler"], sampler_name(given["sampler"]))
        if "steps" in given and given["steps"] < 1:
            raise MethodError(f"option steps={given['steps']} of {self.name}: a picture takes at least one step")
        if not (math.isfinite(self.options["guidance"]) and self.options["guidance"] >= 0):
            raise MethodError(
                f"option guidance={self.options['guidance']} of {self.name} has to be a number of 0 or more"
            )

    @classmethod
    @abstractmethod
    def profile_for(cls, context: MethodContext) -> DiffusionProfile:
        """The profile that a context names; MethodError for an unknown one."""

    @classmethod
    def training_task(cls, context: MethodContext, options: Mapping[str, Any] | None = None) -> TrainingTask:
        """The task of `task_class`, by the profile with the options set."""
        task: TrainingTask = resolve_name(cls.task_class)(
            context, configured(cls.profile_for(context), options or {}, cls.name)[0]
        )
        return task

    @classmethod
    def auto_edges(cls, context: MethodContext) -> Edges:
        """What the profile is trained on."""
        return cls.profile_for(context).edges

    @classmethod
    def build_network(cls, context: MethodContext) -> SemanticUNet:
        """The U-Net of the context's profile."""
        from methods.common.diffusion.unet import SemanticUNet

        return SemanticUNet(cls.profile_for(context).network)

    def generate(self, maps: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        """Sample the reverse process from pure noise under the received maps, in batches that fit into memory."""
        with torch.inference_mode():
            return self.batches.run(self._sample, maps, rngs)

    def _sample(self, maps: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        from methods.common.diffusion.guidance import with_variance

        device = self.context.device
        height, width = maps.shape[2:]

        def draw() -> Tensor:
            noise = torch.stack([torch.randn(3, height, width, generator=rng) for rng in rngs])
            # from pinned memory the copy does not wait for the GPU, so that noise is drawn while the network runs
            return noise.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else noise.to(device)

        denoise = with_variance(self._guided(maps.to(device)), self.options["variance"])
        x = self.sampler.sample(denoise, draw(), self.schedule, draw, self.profile.prediction)
        return ((x + 1) / 2).clamp(0, 1).cpu()

    def _guided(self, maps: Tensor) -> Denoise:
        """The guided denoiser: of the network as it is, or compiled at the largest batch seen.

        Others are filled up to it, because each shape is compiled anew.
        """
        from methods.common.diffusion.compiled import CompiledNetwork, at_fixed_batch, filled
        from methods.common.diffusion.guidance import guided_denoiser

        if not self._worth_compiling():
            return guided_denoiser(self.network, maps, self.options["guidance"])
        if self._compiled is None:
            self._compiled = CompiledNetwork(self.network)
        self._largest_batch = rows = max(self._largest_batch, len(maps))
        guided = guided_denoiser(self.network, filled(maps, rows), self.options["guidance"], self._compiled.bind)
        return at_fixed_batch(guided, rows)

    def _worth_compiling(self) -> bool:
        if self.context.device.type != "cuda" or self.options["compile"] == "never":
            return False
        return self.options["compile"] == "always" or len(self.schedule) >= self.profile.worth_compiling
