"""Where a method's weights are, and reading them safely (safetensors only)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import platformdirs
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from methods.base import MethodContext, MethodError

Network = TypeVar("Network", bound=torch.nn.Module)

PACKAGED = Path(__file__).parent / "weights"
#: Metadata key under which a file holds the digest of its own content.
DIGEST_KEY = "content_sha256"


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
    published = "`bench weights list` says where its authors' checkpoint is published and how to import it. Or train"
    raise MethodError(
        f"no weights for '{method}' on {context.dataset} at {context.height}x{context.width} "
        f"({name} is in none of: {', '.join(str(f) for f in folders)}). "
        f"{published if context.profile == 'paper' else 'Train'} them with "
        f"`bench train {method} --dataset {context.dataset}`, or choose a data set and size that has weights."
    )


@lru_cache(maxsize=64)
def _digest(path: Path, modified_ns: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def read_card(path: Path) -> dict[str, Any]:
    """The model card in a weights file's metadata; empty where it has none."""
    try:
        with safe_open(path, framework="pt") as file:
            card = json.loads((file.metadata() or {}).get("card", "{}"))
    except (SafetensorError, OSError) as error:
        raise MethodError(f"cannot read weights {path}: {error}. Reinstall the package or train again.") from error
    except ValueError:
        return {}
    return card if isinstance(card, dict) else {}


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


def some(names: Sequence[str], limit: int = 5) -> str:
    """Up to `limit` names in a row, and how many more there are."""
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _stored(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """What goes to disk: floats as `dtype`, on the CPU, contiguous, and no part of a larger storage (checkpoints of the
    guided-diffusion family hold views of one flat vector, which safetensors refuses)."""
    stored = (tensor.to(dtype) if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
    return stored if stored.untyped_storage().nbytes() == stored.nbytes else stored.clone()


def write_weights(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, object], dtype: torch.dtype = torch.float16
) -> None:
    """Write float tensors as `dtype` with JSON-encoded metadata and the digest of both, atomically.

    MethodError names the tensors that are not finite in `dtype`; nothing is written then.
    """
    stored = {key: _stored(value, dtype) for key, value in tensors.items()}
    bad = [key for key, value in stored.items() if not is_finite(value)]
    if bad:
        kind = str(dtype).removeprefix("torch.")
        raise MethodError(f"{len(bad)} tensor(s) are not finite in {kind}: {some(bad)}; {path} was not written")
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    texts[DIGEST_KEY] = content_digest(sorted(stored.items()), texts)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file(stored, temporary, texts)
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
