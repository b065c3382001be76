"""What the trainings of all embedded evaluators share: their recipe, one step, the pictures' changes, and the card.

Evaluators are plain ones: pictures as they are rendered, mirrored, with mild changes of light and a little noise, so
that they are not thrown by the small artefacts of a generator; they are no denoisers and never see generated pictures.
"""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from bench.api.errors import MethodError
from bench.api.method import MethodContext
from bench.api.scenes import Scene, facts_of
from bench.api.specs import apply_options
from bench.api.training.augment import vary_light
from bench.api.training.task import TrainingScenes, TrainingTask
from bench.api.training.update import Precision, ema_update
from metrics.evaluators.block_unet import EvaluatorNet

if TYPE_CHECKING:
    from metrics.evaluators.embedded import EvaluatorSpec

#: Held-out scenes that are looked at together when a trained evaluator is measured.
MEASURED_AT_ONCE = 50

N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class Recipe:
    """How an evaluator is trained; the fields are its training options, but for `steps`.

    AdamW with `learning_rate` at its peak, behind a linear warm-up of `warmup_steps` (a tenth of the steps, if that is
    less) and before half a cosine; `weight_decay` for kernels alone. Under `sparse` a step of a segmenter looks at one
    pixel of each 2x2 block, drawn anew: of many classes the logits cost more than the rest.
    """

    steps: int
    batch_size: int
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    warmup_steps: int = 100
    ema_decay: float = 0.998
    gradient_clip: float = 1.0
    sparse: bool = False


class EvaluatorTask(TrainingTask, Generic[N]):
    """One evaluator's training; the moving average of its weights ships, normalisation folded in.

    With several processes each clips the gradients of its own share of the batch.
    """

    precisions: ClassVar[tuple[Precision, ...]] = ("float32", "bfloat16")
    #: the loss, for the card
    objective: ClassVar[str]
    settings: Recipe

    def __init__(
        self, spec: EvaluatorSpec, context: MethodContext, network: N, recipe: Recipe, options: Mapping[str, Any]
    ) -> None:
        """Train `network`, fresh from PyTorch's global generator, by `recipe` with `options` set.

        MethodError for an option that there is not, or a value that it cannot have.
        """
        [self.settings] = apply_options(options, f"the {spec.title}", [recipe], ("steps",))
        if self.settings.batch_size < 1:
            raise MethodError(f"the batch size has to be at least 1, not {self.settings.batch_size}")
        self.spec, self.space = spec, context.label_space
        self.batch_size, self.steps = self.settings.batch_size, self.settings.steps
        self.record, self.weights_file = spec.record, spec.weights_file
        self.network = network.to(context.device)
        self.average = copy.deepcopy(network).requires_grad_(False).eval()
        self.networks = {"network": self.network}
        self.emas = {"network": self.average}
        parameters = list(network.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.settings.weight_decay},
            {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
        ]
        self.optimizers = {"network": torch.optim.AdamW(groups, lr=self.settings.learning_rate)}
        self.prepare("auto", False)

    @abstractmethod
    def loss(self, network: N, scene: Scene, generator: torch.Generator) -> Tensor:
        """The loss (a scalar) of a network on a batch; all that is random in it comes from the CPU generator."""

    @abstractmethod
    def picture(self, images: Tensor) -> Tensor:
        """What the averaged network says of pictures (B, 3, H, W), drawn: (B, 1 or 3, H, W) in [0, 1]."""

    @abstractmethod
    def evaluate(self, weights: Path, scenes: TrainingScenes) -> dict[str, float]:
        """Scores of the written evaluator on the original pictures of held-out scenes, by name."""

    def by_class(self, score: str, values: Sequence[float]) -> dict[str, float]:
        """The values of a score, one a class, by name."""
        return {f"{score}[{self.space.names[c]}]": v for c, v in zip(self.spec.classes, values, strict=True)}

    def shipped(self, network: N) -> EvaluatorNet:
        """The part of a trained network that ships; all of it, where nothing else is said."""
        assert isinstance(network, EvaluatorNet)
        return network

    def rate(self, step: int) -> float:
        """The learning rate: linear warm-up, then half a cosine down to zero."""
        warmup = min(self.settings.warmup_steps, self.steps // 10)
        if step < warmup:
            return self.settings.learning_rate * ((step + 1) / (warmup + 1))
        part = (step - warmup) / max(1, self.steps - warmup)
        return self.settings.learning_rate * (0.5 * (1 + math.cos(math.pi * part)))

    def recipe(self) -> dict[str, Any]:
        """The network, the settings, and the changes of pictures."""
        return {
            "model": self.spec.version,
            "widths": list(self.spec.widths),
            **({} if self.spec.network == "unet" else {"network": self.spec.network}),
            **asdict(self.settings),
            "steps": self.steps,
            "loss": self.objective,
            "augmentation": "mirroring, mild changes of light, noise of sigma up to 0.03",
        }

    def facts(self) -> dict[str, Any]:
        """What the evaluator looks for in a file: its version and label ids."""
        return {"model": self.spec.version, "labels": list(self.spec.classes)}

    def step(self, scene: Scene, generator: torch.Generator, step: int) -> dict[str, float]:
        """One update of network and average; loss and gradient norm."""
        optimizer = self.optimizers["network"]
        for group in optimizer.param_groups:
            group["lr"] = self.rate(step)
        loss = self.loss(self.network, scene, generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.gradient_clip)
        optimizer.step()
        ema_update(self.average, self.network, self.settings.ema_decay, step)
        return {"loss": float(loss.detach()), "gradient_norm": float(norm)}

    @torch.inference_mode()
    def validation(self, scene: Scene, generator: torch.Generator) -> dict[str, float]:
        """The averaged network's loss."""
        return {"loss": float(self.loss(self.average, scene, generator))}

    @torch.inference_mode()
    def sample(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """`picture` in colour."""
        drawn = self.picture(scene.image.to(self.device)).cpu().float()
        return drawn.expand(-1, 3, -1, -1).clamp(0, 1)

    def export(self) -> dict[str, Tensor]:
        """The shipped part of the average, normalisation folded in."""
        return self.shipped(copy.deepcopy(self.average)).cpu().fuse().state_dict()

    def measure(self, weights: Path, held_out: Callable[[str], TrainingScenes | None]) -> str:
        """`evaluate` on scenes of `val` and `test`, as far as these are there."""
        columns = {}
        for split in ("val", "test"):
            scenes = held_out(split)
            if scenes is not None:
                columns[f"{len(scenes)} {split} scenes"] = self.evaluate(weights, scenes)
        if not columns:
            return ""
        spec = self.spec
        knows = f"scenes like those of `{spec.dataset}` only."
        if facts_of(spec.dataset).rendered:
            knows = "rendered scenes only and says nothing about photographs."
        return f"""
It is the {spec.title} that `{spec.metric}` asks on `{spec.dataset}`. It knows {knows}
Measured on the original pictures, from the written file; again, as the scores that end in
`[original]`: `bench run --datasets {spec.dataset} --metrics {spec.metric} --methods full_image --psnr 100 --scenes 500`

{table(columns)}"""


def table(columns: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown table of scores by name, one column a set of scenes; without those that are defined in none."""
    header = f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}\n"
    rows = {name: [values.get(name, math.nan) for values in columns.values()] for name in next(iter(columns.values()))}
    return header + "".join(
        f"| {name} | {' | '.join(f'{value:.4f}' for value in values)} |\n"
        for name, values in rows.items()
        if not np.isnan(values).all()
    )


def augment(images: Tensor, maps: Sequence[Tensor], generator: torch.Generator) -> tuple[Tensor, list[Tensor]]:
    """Change training pictures a little: mirror half of them, vary the light, add noise.

    `images` (B, 3, H, W) in [0, 1] and their `maps`, (B, H, W) each, are mirrored together. Brightness, contrast and
    saturation vary by up to 20 %, the noise has sigma <= 0.03. All randomness is the CPU generator's.
    """
    batch = len(images)
    mirrored = torch.rand(batch, generator=generator) < 0.5
    images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
    maps = [torch.where(mirrored[:, None, None], one.flip(-1), one) for one in maps]

    images = vary_light(images, 0.2, generator)
    sigma = 0.03 * torch.rand(batch, 1, 1, 1, generator=generator)
    noise = torch.randn(images.shape, generator=generator)
    return (images + sigma * noise).clamp_(0, 1), maps
