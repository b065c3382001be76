"""Where a method's weights are, and reading them safely (safetensors only)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import platformdirs
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from bench.api.errors import MethodError, some
from bench.api.method import MethodContext

Network = TypeVar("Network", bound=torch.nn.Module)

#: `methods` lies beside `bench`, in a checkout and where it is installed.
PACKAGED = Path(__file__).resolve().parents[2] / "methods" / "weights"
#: Metadata key under which a file holds the digest of its own content.
DIGEST_KEY = "content_sha256"
#: Metadata key of the record of where imported weights come from.
MANIFEST = "manifest"


@dataclass(frozen=True)
class Weights:
    """A weights file in use: where it is, the SHA-256 of its bytes, and what it says of itself (`read_facts`)."""

    path: Path
    sha256: str
    facts: Mapping[str, Any]


def weights_name(method: str, context: MethodContext) -> str:
    """File name of a method's weights, for example `gesco-streets-64x128.safetensors`."""
    return f"{method}-{context.dataset}-{context.height}x{context.width}.safetensors"


def user_weights_dir() -> Path:
    """Where imported and trained weights live: $GESCO_BENCH_WEIGHTS, else the user's data directory."""
    return Path(os.environ.get("GESCO_BENCH_WEIGHTS") or platformdirs.user_data_path("gesco-bench") / "weights")


def own_folder(context: MethodContext) -> Path | None:
    """The folder of the weights that the context names; None where it names none, which means the package's."""
    if context.weights:
        return (context.weights_dir or user_weights_dir()) / context.weights
    return context.weights_dir


def own_names(method: str, context: MethodContext) -> list[str]:
    """Names of the user's own weights of `method` that fit the context's data set and size."""
    folder, file = user_weights_dir(), weights_name(method, context)
    return sorted(path.parent.name for path in folder.glob(f"*/{file}")) if folder.is_dir() else []


def find_weights(method: str, context: MethodContext) -> Path:
    """The weights file for `method` in `context`.

    Where the context names weights, they and no others. Else the package's; where it ships none, what `bench weights
    import` put into the user's folder. A training's weights are never found unnamed, so that none can stand in for what
    the benchmark ships. MethodError names the file, the places and the remedy.
    """
    file, named = weights_name(method, context), own_folder(context)
    if named is not None:
        if (named / file).is_file():
            return named / file
        called = f" named '{context.weights}'" if context.weights else ""
        raise MethodError(
            f"no weights{called} for '{method}' on {context.dataset} at {context.height}x{context.width}: there is no "
            f"{named / file}. Train them with `bench train {method} --dataset {context.dataset}`, or name others"
            f"{_choice(method, context)}"
        )
    imported = user_weights_dir() / file
    for path in (PACKAGED / file, imported):
        if path.is_file() and (path != imported or not read_card(path)):
            return path
    published = "`bench weights list` says where its authors' checkpoint is published and how to import it. Or train"
    trained = (
        f" {imported} is of a training: move it into a folder of its own, {imported.parent / 'NAME'}, and name it"
        if imported.is_file()
        else ""
    )
    raise MethodError(
        f"no weights for '{method}' on {context.dataset} at {context.height}x{context.width} "
        f"({file} is in none of: {PACKAGED}, {imported.parent}).{trained} "
        f"{published if context.profile == 'paper' else 'Train'} them with "
        f"`bench train {method} --dataset {context.dataset}`, or choose a data set and size that has weights. "
        f"Weights of your own are used where they are named: {method}:weights=NAME{_choice(method, context)}"
    )


def _choice(method: str, context: MethodContext) -> str:
    names = own_names(method, context)
    return f" (there are: {some(names)})" if names else ""


def weights_in_use(method: str, context: MethodContext) -> Weights:
    """The weights that `find_weights` finds; MethodError where they say that they are for something else."""
    path = find_weights(method, context)
    sha256, facts = file_digest(path), read_facts(path)
    profile = facts.get("profile", context.profile)
    if profile != context.profile:
        raise MethodError(
            f"{path} was trained with the profile '{profile}', so that '{context.profile}' would sample it as "
            "something it is not; leave the profile away, 'auto' is that of the weights"
        )
    here = {"method": method, "dataset": context.dataset, "size": [context.height, context.width]}
    for key, wanted in here.items():
        if facts.get(key, wanted) != wanted:
            told = "x".join(map(str, facts[key])) if isinstance(facts[key], list) else facts[key]
            raise MethodError(f"{path} holds weights of another {key}, '{told}', as it says itself; name others")
    return Weights(path, sha256, facts)


def trained_profile(method: str, context: MethodContext) -> str | None:
    """The profile of the weights that are found, whatever the context's; None without any, or if they say nothing."""
    try:
        return read_facts(find_weights(method, context)).get("profile")
    except MethodError:
        return None


@lru_cache(maxsize=64)
def _digest(path: Path, *_state: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, remembered while it is the same file with the same time stamps and size."""
    stat = path.stat()
    return _digest(path, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size)


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
    """The model card of a training in a weights file's metadata; empty where it has none."""
    return read_record(path, "card")


def read_facts(path: Path) -> dict[str, Any]:
    """What a weights file says of itself (method, dataset, size, profile, a training's recipe): the card of a training,
    or the record of an import; empty where it says nothing."""
    return read_card(path) or read_record(path, MANIFEST)


def read_record(path: Path, key: str) -> dict[str, Any]:
    """The JSON object under `key` in a weights file's metadata; empty where there is none."""
    try:
        with safe_open(path, framework="pt") as file:
            record = json.loads((file.metadata() or {}).get(key, "{}"))
    except (SafetensorError, OSError) as error:
        raise MethodError(f"cannot read weights {path}: {error}. Reinstall the package or train again.") from error
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


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


def load_for_inference(build: Callable[[], Network], method: str, context: MethodContext) -> tuple[Network, Weights]:
    """Find the method's weights, then build the network, load them and put it, frozen, on the device.

    Returns the network and its weights. The search comes first: a missing file is told without building anything.
    """
    weights = weights_in_use(method, context)
    return load_network(build, weights, context), weights


def load_network(build: Callable[[], Network], weights: Weights, context: MethodContext) -> Network:
    """Build a network, load `weights` and put it, frozen, on the context's device. MethodError where they do not fit,
    or are no longer those whose digest is known."""
    network = build()
    load_into(network, read_weights(weights.path)[0], weights.path)
    if (now := file_digest(weights.path)) != weights.sha256:
        raise MethodError(
            f"{weights.path} was replaced while it was read (SHA-256 {weights.sha256[:12]}, now {now[:12]}); start "
            "again"
        )
    network.eval().requires_grad_(False)
    network.to(device=context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


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
