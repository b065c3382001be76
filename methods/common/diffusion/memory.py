"""How many pictures are sampled at once: a budget from the device's free memory, halved where it was too high."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bench.api.errors import MethodError
from bench.api.lazy import Tensor, torch
from methods.common.diffusion.layers import DecoderBlock, SpadeGroupNorm

if TYPE_CHECKING:
    from methods.common.diffusion.unet import SemanticUNet

#: Share of the free memory that a batch may plan for: the estimate leaves out kernels' workspaces and fragmentation.
USABLE = 0.7
#: Largest activations alive at once beside skips and modulations, in units of the largest one (block input, two
#: intermediate results, their normalised copies, the concatenation with a skip).
ALIVE = 6


def bytes_per_image(network: SemanticUNet, height: int, width: int, guided: bool) -> int:
    """Estimate of what one more picture of height x width costs in a batch.

    The prepared modulations, which is exact, and the activations of one evaluation (two with guidance).
    """
    patch = network.config.patch
    pixels = height * width // patch**2
    spades = [module for module in network.modules() if isinstance(module, SpadeGroupNorm)]
    modulations = sum(2 * s.mlp_gamma.out_channels * pixels // s.factor**2 for s in spades)
    blocks = [module for module in network.modules() if isinstance(module, DecoderBlock)]
    decoder = [b.in_norm.mlp_gamma.out_channels * pixels // b.in_norm.factor**2 for b in blocks]
    activations = sum(decoder) // 2 + ALIVE * max(decoder)  # decoder inputs are half skips
    itemsize = next(network.parameters()).element_size()
    return itemsize * (modulations + (2 if guided else 1) * activations)


def planned_batch(network: SemanticUNet, height: int, width: int, guided: bool, device: torch.device) -> int | None:
    """Pictures that fit into a CUDA device's free memory, at least one; None, no limit, on other devices."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return max(1, int(USABLE * free) // bytes_per_image(network, height, width, guided))


class Batches:
    """Runs a function over pictures in batches of at most `limit` (None: all at once).

    Where the device runs out of memory the limit is halved, for good, and the same pictures are tried again.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit

    def run(
        self,
        sample: Callable[[Tensor, Sequence[torch.Generator]], Tensor],
        maps: Tensor,
        rngs: Sequence[torch.Generator],
    ) -> Tensor:
        """`sample(maps, rngs)` over maps (B, C, H, W) with one generator a picture, results joined in order.

        A failed attempt leaves no trace: the generators are set back, so that every picture gets the numbers it would
        have got in a batch of its own. MethodError where not even one picture fits.
        """
        done: list[Tensor] = []
        start = 0
        while start < len(rngs):
            size = min(self.limit or len(rngs), len(rngs) - start)
            part = slice(start, start + size)
            states = [rng.get_state() for rng in rngs[part]]
            try:
                done.append(sample(maps[part], rngs[part]))
            except torch.cuda.OutOfMemoryError as error:
                shortage = str(error)
            else:
                start += size
                continue
            # outside the handler, so that the traceback no longer holds the tensors of the failed attempt
            torch.cuda.empty_cache()
            for rng, state in zip(rngs[part], states, strict=True):
                rng.set_state(state)
            if size == 1:
                raise MethodError(
                    f"the GPU's memory does not hold one picture of {maps.shape[2]}x{maps.shape[3]} ({shortage}); free "
                    "memory on it, use precision=bfloat16, or --device cpu"
                )
            self.limit = size // 2
        return torch.cat(done)
