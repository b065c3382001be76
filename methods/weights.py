"""Where a method's weights are, and reading them safely (safetensors only)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import platformdirs
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from methods.base import MethodContext, MethodError

Network = TypeVar("Network", bound=torch.nn.Module)

PACKAGED = Path(__file__).parent / "weights"


def weights_name(method: str, context: MethodContext) -> str:
    """File name of a method's weights, for example `gesco-streets-64x128.safetensors`."""
    return f"{method}-{context.dataset}-{context.height}x{context.width}.safetensors"


def user_weights_dir() -> Path:
    """Where imported and trained weights live: $GESCO_BENCH_WEIGHTS, else the user's data directory."""
    return Path(os.environ.get("GESCO_BENCH_WEIGHTS") or platformdirs.user_data_path("gesco-bench") / "weights")


def find_weights(method: str, context: MethodContext) -> Path:
    """The weights file for `method` in `context`: the configured folder first, then the user's, then the package's."""
    name = weights_name(method, context)
    folders = [context.weights_dir] if context.weights_dir else []
    folders += [user_weights_dir(), PACKAGED]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise MethodError(
        f"no weights for '{method}' on {context.dataset} at {context.height}x{context.width} "
        f"({name} is in none of: {', '.join(str(f) for f in folders)}). Train them with "
        f"`bench train {method} --dataset {context.dataset}`, or choose a data set and size that has weights."
    )


@lru_cache(maxsize=64)
def _digest(path: Path, modified_ns: int, size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, remembered while its time stamp and size stay."""
    stat = path.stat()
    return _digest(path, stat.st_mtime_ns, stat.st_size)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors (as float32 where they are stored as half) and metadata of a safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise MethodError(f"cannot read weights {path}: {error}. Reinstall the package or train again.") from error
    return {k: v.float() if v.dtype in (torch.float16, torch.bfloat16) else v for k, v in tensors.items()}, metadata


def write_weights(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, object]) -> None:
    """Write float tensors as float16 with JSON-encoded metadata, atomically."""
    half = {k: (v.half() if v.is_floating_point() else v).detach().cpu().contiguous() for k, v in tensors.items()}
    for key, value in half.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise MethodError(f"tensor '{key}' is not finite in float16: {path} was not written")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file(half, temporary, {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()})
        temporary.chmod(0o644)  # safetensors writes for the owner alone; weights are shared and packaged
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_for_inference(build: Callable[[], Network], method: str, context: MethodContext) -> tuple[Network, Path]:
    """Find the method's weights, then build the network, load them and put it, frozen, on the device.

    Returns the network and the file. The search comes first: a missing file is told without building anything.
    """
    path = find_weights(method, context)
    network = build()
    load_into(network, read_weights(path)[0], path)
    network.eval().requires_grad_(False)
    network.to(device=context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network, path


def load_into(network: torch.nn.Module, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Copy tensors into a network; MethodError lists what is missing, unexpected or mis-shaped."""
    own = network.state_dict()
    problems = [f"missing {k}" for k in own if k not in tensors]
    problems += [f"unexpected {k}" for k in tensors if k not in own]
    problems += [
        f"{k} is {tuple(tensors[k].shape)}, the network has {tuple(v.shape)}"
        for k, v in own.items()
        if k in tensors and tensors[k].shape != v.shape
    ]
    if problems:
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        raise MethodError(f"weights {source} do not fit the network: {shown}")
    network.load_state_dict(dict(tensors))
