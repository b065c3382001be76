"""Tensors of weights files: reading them safely (safetensors only), into networks, and writing them."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from bench.api.errors import WeightsError, some
from bench.api.files import file_digest, replacing
from bench.api.method import MethodContext
from bench.api.weights import DIGEST_KEY, Weights

Network = TypeVar("Network", bound=torch.nn.Module)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors (as float32 where they are stored as half) and metadata of a safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"cannot read weights {path}: {error}. Reinstall the package or train again.") from error
    return {k: v.float() if v.dtype in (torch.float16, torch.bfloat16) else v for k, v in tensors.items()}, metadata


def content_digest(tensors: Iterable[tuple[str, Tensor]], metadata: Mapping[str, str]) -> str:
    """SHA-256 over what a weights file holds: its metadata, but for this digest, and its tensors in order of keys.

    Tensors one at a time, so that a file need not fit in memory: only names, types, shapes and bytes enter.
    """
    digest = hashlib.sha256()
    digest.update(json.dumps({k: v for k, v in metadata.items() if k != DIGEST_KEY}, sort_keys=True).encode())
    for key, tensor in tensors:
        digest.update(f"\n{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        digest.update(data.data)
    return digest.hexdigest()


def is_finite(tensor: Tensor) -> bool:
    """Whether a tensor holds neither NaN nor infinity."""
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _stored(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """What goes to disk: floats as `dtype`, on the CPU, contiguous, and no part of a larger storage.

    Checkpoints of the guided-diffusion family hold views of one flat vector, which safetensors refuses.
    """
    stored = (tensor.to(dtype) if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
    return stored if stored.untyped_storage().nbytes() == stored.nbytes else stored.clone()


def write_weights(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, object], dtype: torch.dtype = torch.float16
) -> None:
    """Write float tensors as `dtype` with JSON-encoded metadata and the digest of both, atomically.

    WeightsError names the tensors that are not finite in `dtype`; nothing is written then.
    """
    stored = {key: _stored(value, dtype) for key, value in tensors.items()}
    bad = [key for key, value in stored.items() if not is_finite(value)]
    if bad:
        kind = str(dtype).removeprefix("torch.")
        raise WeightsError(f"{len(bad)} tensor(s) are not finite in {kind}: {some(bad)}; {path} was not written")
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    texts[DIGEST_KEY] = content_digest(sorted(stored.items()), texts)
    with replacing(path) as temporary:
        save_file(stored, temporary, texts)
        temporary.chmod(0o644)  # safetensors writes for the owner alone; weights are shared and packaged


def load_network(build: Callable[[], Network], weights: Weights, context: MethodContext) -> Network:
    """Build a network, load `weights` and put it, frozen, on the context's device.

    WeightsError where they do not fit, or are no longer those whose digest is known.
    """
    network = build()
    load_into(network, read_weights(weights.path)[0], weights.path)
    if (now := file_digest(weights.path)) != weights.sha256:
        raise WeightsError(
            f"{weights.path} was replaced while it was read (SHA-256 {weights.sha256[:12]}, now {now[:12]}); start "
            "again"
        )
    network.eval().requires_grad_(False)
    network.to(device=context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def load_into(network: torch.nn.Module, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Copy tensors into a network; WeightsError lists what is missing, unexpected or mis-shaped."""
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
        raise WeightsError(f"weights {source} do not fit the network: {shown}")
    network.load_state_dict(dict(tensors))
