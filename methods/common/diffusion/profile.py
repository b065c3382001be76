"""What the diffusion methods' profiles have in common: network, recipe and how a trained network is sampled."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from bench.api.errors import ImpossibleError, MethodError
from bench.api.method import MethodContext
from bench.api.specs import apply_options
from methods.common.diffusion.loss import KL_WEIGHT
from methods.common.diffusion.reverse import Prediction
from methods.common.semantic.maps import Edges

#: What no training option may set: other options of `bench train`, the data set, and what sampling is told elsewhere.
FIXED = ("steps", "sampler", "sampling_steps", "variance", "edges", "map_channels", "in_channels")
#: The variance of an ancestral step. "learned" is the network's (paper Eq. 3); the fixed ones are for networks whose
#: variance channels were never trained, as the authors' published code leaves them (it drops L_KL): "fixed_small" is
#: the posterior's, "fixed_large" beta (Ho et al. 2020, section 3.2).
Variance = Literal["learned", "fixed_small", "fixed_large"]


@dataclass(frozen=True)
class UNetConfig:
    """Size of the network; the defaults are the paper's Cityscapes setting (654 million parameters).

    `attention_factors`: down-sampling factors, relative to the network's own grid, that have attention.
    `patch`: side of the pixel blocks that the network's grid is made of. 1 is the paper's; 2 folds each 2x2 block of
    picture and map into channels, so that no layer works at full resolution (embedded profile: four times faster).
    `in_channels`: 3 is the noisy picture alone. GESCO's constructor can make 4 or 39 (a noisy label map or noisy maps
    beside the picture); its published scripts never do, so no method here feeds such a network.
    """

    map_channels: int = 36
    width: int = 256
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4, 4)
    blocks: int = 2
    attention_factors: tuple[int, ...] = (8, 16, 32)
    head_channels: int = 64
    spade_hidden: int = 128
    groups: int = 32
    dropout: float = 0.0
    patch: int = 1
    in_channels: int = 3


@dataclass(frozen=True)
class DiffusionProfile:
    """A network, how it is trained, and how it is sampled where the options do not say.

    `constant` is the share of the steps at full learning rate; after it the rate falls linearly to zero (the paper's
    never falls). `worth_compiling` is the number of sampling steps from which compiling, a minute or two on a CUDA
    device, pays: few where a step is large. The number of pictures to come is not asked, which would make a picture's
    rounding depend on how many came before it. `drop_rate` of the maps are replaced by the null label, from the share
    `drop_from` of the steps on; from there on the rate is `finetune_rate` where that is set (SDM's guidance
    fine-tuning). `kl_weight` is lambda of the paper's Eq. 10; `variance` how the network is sampled, which a weight of
    0 leaves no choice in; `edges` what the edge channel is made of, in training and at the sender.
    """

    network: UNetConfig
    prediction: Prediction
    batch_size: int
    learning_rate: float
    warmup_steps: int
    ema_decay: float
    steps: int
    sampler: str
    sampling_steps: int
    worth_compiling: int = 100
    drop_rate: float = 0.2
    drop_from: float = 0.0
    finetune_rate: float | None = None
    constant: float = 1.0
    gradient_clip: float = 1.0
    kl_weight: float = KL_WEIGHT
    variance: Variance = "learned"
    edges: Edges = "instances"

    @property
    def sampling(self) -> dict[str, Any]:
        """How a network of this profile has to be sampled: what a training writes on its weights' card."""
        return {
            "prediction": self.prediction,
            "edges": self.edges,
            "variance": self.variance if self.kl_weight else "fixed_small",
            "sampler": self.sampler,
            "sampling_steps": self.sampling_steps,
        }


def as_trained(profile: DiffusionProfile, facts: Mapping[str, Any], where: str) -> DiffusionProfile:
    """`profile` with what a weights file says of its own training in place of today's.

    That is the network, what it predicts, its edges, and how it is sampled. `facts` are the file's
    (`bench.api.weights.read_facts`), empty for imported weights; `where` is the file, for the MethodError about a card
    that cannot be read. Cards without `sampling` are of older trainings, which could not choose: only their recipe says
    something.
    """
    recipe = facts.get("recipe")
    if not isinstance(recipe, Mapping):
        return profile
    [network] = apply_options(recipe.get("network", {}), f"the network in {where}", [profile.network])
    told: dict[str, Any] = {"edges": recipe.get("edges", "instances")}
    if "prediction" in recipe:
        told["prediction"] = recipe["prediction"]
    if recipe.get("kl_weight") == 0:
        told["variance"] = "fixed_small"  # its variance channels got no gradient
    [trained] = apply_options({**told, **facts.get("sampling", {})}, f"the card of {where}", [profile])
    result: DiffusionProfile = replace(trained, network=network)
    return result


def check_sides(context: MethodContext, profile: DiffusionProfile) -> None:
    """ImpossibleError where the scenes' size does not fit the network."""
    multiple = profile.network.patch * 2 ** (len(profile.network.multipliers) - 1)
    if context.height % multiple or context.width % multiple:
        raise ImpossibleError(
            f"this network needs sides that are multiples of {multiple}, not {context.height}x{context.width}"
        )


def paper_profile(map_channels: int) -> DiffusionProfile:
    """The published network and training of SDM and GESCO (one U-Net, two forks).

    Not the published sampling, which is all 1000 ancestral steps (`sampler=ancestral:steps=1000`): 25 steps of `ddim`
    leave less noise on a network of epsilon and take a fortieth of the time (results/performance/README.md).
    """
    return DiffusionProfile(
        network=UNetConfig(map_channels=map_channels),
        prediction="epsilon",
        batch_size=4,
        learning_rate=1e-4,
        warmup_steps=0,
        ema_decay=0.9999,
        steps=190_000,
        sampler="ddim",
        sampling_steps=25,
        worth_compiling=10,
        edges="clipped",
    )


def embedded_profile(map_channels: int) -> DiffusionProfile:
    """The small network for scenes that the project renders: 28,000 images, the same number for every method.

    With its 10 steps mIoU and FID on `streets` are within 2 % of those of all 1000 ancestral steps at 100 and at 10 dB,
    or better, and LPIPS is that of `ddim` (results/performance/README.md).
    """
    return DiffusionProfile(
        network=UNetConfig(
            map_channels=map_channels,
            width=16,
            multipliers=(2, 2, 4, 6),
            blocks=1,
            attention_factors=(4, 8),
            head_channels=32,
            spade_hidden=16,
            groups=8,
            patch=2,
        ),
        prediction="x0",
        batch_size=8,
        learning_rate=8e-4,
        warmup_steps=300,
        ema_decay=0.999,
        steps=3_500,
        sampler="ancestral-quad",
        sampling_steps=10,
        drop_rate=0.1,
        constant=0.6,
    )


def named_profile(context: MethodContext, method: str) -> DiffusionProfile:
    """The profile that a context names; MethodError for an unknown one."""
    makers = {"embedded": embedded_profile, "paper": paper_profile}
    if context.profile not in makers:
        raise MethodError(f"unknown profile '{context.profile}' for {method}; known: {', '.join(makers)}")
    return makers[context.profile](context.label_space.map_channels)


def configured(
    profile: DiffusionProfile, options: Mapping[str, Any], method: str, *more: Any
) -> tuple[DiffusionProfile, list[Any]]:
    """`profile` with training options set, and `more` dataclasses of the method's own with theirs.

    The network's (`width`, `multipliers`, ...) are among them. MethodError for an unknown option or a wrong value.
    """
    profile, network, *rest = apply_options(options, method, [profile, profile.network, *more], FIXED)
    return replace(profile, network=network), rest
