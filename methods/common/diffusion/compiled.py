"""The network compiled, and captured as a CUDA graph: the same arithmetic without Python and launches between kernels.

Sampling: CUDA only. Training is compiled, not captured: its loss scale, gradient clipping and logs read values. The
compiler's results are kept in the user's cache folder, so that only the first process on a machine pays.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import platformdirs
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from methods.common.diffusion.layers import Modulation
    from methods.common.diffusion.unet import SemanticUNet

#: Runs before the capture: the first compiles, the next ones settle the library's choice of kernels.
WARM_UP_RUNS = 3

Evaluate = Callable[[Tensor, Tensor], Tensor]


def use_compile_cache() -> None:
    """Point the compiler's cache to the user's cache folder, unless the environment names another one."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(platformdirs.user_cache_path("gesco-bench") / "inductor"))


def compiled_pass(network_pass: nn.Module) -> nn.Module:
    """A module's forward and backward pass, compiled at its first call, for one shape of its inputs.

    Where the compiler fails, PyTorch says so and runs that part as it is: a training of days must not end over it.
    """
    import torch._dynamo

    use_compile_cache()
    torch._dynamo.config.suppress_errors = True
    return torch.compile(network_pass, dynamic=False)  # type: ignore[return-value]


@dataclass
class _Capture:
    """A captured evaluation: what is written into `x`, `timesteps` and `modulations` is what a replay reads."""

    graph: Any
    x: Tensor
    timesteps: Tensor
    modulations: list[Modulation]
    branches: int
    output: Tensor


class CompiledNetwork:
    """Evaluations of a network on a CUDA device at one shape at a time.

    Another shape is compiled and captured anew, so callers pad a short batch. Where compiling fails, a warning says why
    and the network runs as it is.
    """

    def __init__(self, network: SemanticUNet) -> None:
        use_compile_cache()
        self._plain = network
        # cuDNN's convolutions are near the matmul peak, so nothing is left for the slow search of max-autotune to find
        self._compiled = torch.compile(network, dynamic=False)
        self._capture: _Capture | None = None
        self._failed = False

    def bind(self, modulations: Iterable[Modulation], branches: int) -> Evaluate:
        """A function (x, timesteps) -> output under these modulations, of `branches` maps a picture.

        It and its output are valid until the next call of the function or of `bind`. Where the shapes are those of the
        last time, each layer's modulation goes into the captured buffers before the next one is asked for, so that they
        are never in memory twice.
        """
        given = iter(modulations)
        first = next(given)
        kept = self._capture
        if kept is not None and kept.branches == branches and _shapes(kept.modulations[0]) == _shapes(first):
            for mine, new in zip(kept.modulations, chain([first], given), strict=True):
                for buffer, value in zip(mine, new, strict=True):
                    buffer.copy_(value)
            prepared = kept.modulations
        else:
            del kept
            self._capture = None  # free its memory before the next one is made
            prepared = [first, *given]

        def evaluate(x: Tensor, timesteps: Tensor) -> Tensor:
            capture = self._capture
            if capture is None or capture.x.shape != x.shape:
                if self._failed:
                    return self._plain(x, timesteps, prepared, branches)  # type: ignore[no-any-return]
                self._capture = None
                try:
                    capture = self._capture = self._captured(x, timesteps, prepared, branches)
                except torch.cuda.OutOfMemoryError:
                    raise
                except Exception as error:  # any failure of the compiler: the pictures can be made without it
                    self._failed = True
                    warnings.warn(f"the network runs uncompiled, and slower: {error}", stacklevel=2)
                    return self._plain(x, timesteps, prepared, branches)  # type: ignore[no-any-return]
            capture.x.copy_(x)
            capture.timesteps.copy_(timesteps)
            capture.graph.replay()
            return capture.output

        return evaluate

    def _captured(self, x: Tensor, timesteps: Tensor, modulations: list[Modulation], branches: int) -> _Capture:
        x, timesteps = x.clone(), timesteps.clone()
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP_RUNS):
                self._compiled(x, timesteps, modulations, branches)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            output = self._compiled(x, timesteps, modulations, branches)
        return _Capture(graph, x, timesteps, modulations, branches, output)


def _shapes(modulation: Modulation) -> list[torch.Size]:
    return [part.shape for part in modulation]


def filled(values: Tensor, rows: int) -> Tensor:
    """`values` (B, ...) with the last entry repeated up to `rows`."""
    return torch.cat([values, values[-1:].expand(rows - len(values), *values.shape[1:])])


def at_fixed_batch(denoise: Evaluate, rows: int) -> Evaluate:
    """`denoise` called with exactly `rows` pictures, whatever number comes in."""
    return lambda x, timesteps: denoise(filled(x, rows), filled(timesteps, rows))[: len(x)]
