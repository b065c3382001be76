"""Weights files: what they are called, where they are found, and what they say of themselves.

One order for networks of methods and of metrics: a folder that somebody named, else the package's, else the user's.
Nothing here imports torch: what a method or a metric is, is known by its weights without loading them
(`bench.api.tensors` does).
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
from safetensors import SafetensorError, safe_open

from bench.api.errors import WeightsError, some
from bench.api.files import file_digest
from bench.api.method import MethodContext

_ROOT = Path(__file__).resolve().parents[2]  # `methods` and `metrics` lie beside `bench`, installed or not
METHOD_WEIGHTS, METRIC_WEIGHTS = _ROOT / "methods" / "weights", _ROOT / "metrics" / "weights"
#: The folders of weights that ship.
PACKAGED = (METHOD_WEIGHTS, METRIC_WEIGHTS)
#: Metadata key under which a file holds the digest of its own content.
DIGEST_KEY = "content_sha256"
#: Metadata keys of the model card of a training, and of the record of where imported weights come from.
CARD, MANIFEST = "card", "manifest"


#: The folder of weights of one's own to which nobody gave a name.
UNNAMED = "own"


@dataclass(frozen=True)
class Weights:
    """A weights file in use: where it is, the SHA-256 of its bytes, and what it says of itself (`read_facts`)."""

    path: Path
    sha256: str
    facts: Mapping[str, Any]


def user_weights_dir() -> Path:
    """Where imported and trained weights live: $GESCO_BENCH_WEIGHTS, else the user's data directory."""
    return Path(os.environ.get("GESCO_BENCH_WEIGHTS") or platformdirs.user_data_path("gesco-bench") / "weights")


def find_file(file: str, weights_dir: Path | None, remedy: str) -> Path:
    """The weights file: the first of `weights_dir`, the package's folders and the user's that holds it.

    The package's come before the user's, so that nothing there stands in for what the benchmark ships; networks of the
    user's own training are named (`find_named`). WeightsError with every place looked at and `remedy`, what to do.
    """
    folders = [folder for folder in (weights_dir, *PACKAGED, user_weights_dir()) if folder is not None]
    for folder in folders:
        if (folder / file).is_file():
            return folder / file
    raise WeightsError(f"weights file missing: {file} is in none of: {', '.join(map(str, folders))}. {remedy}")


def find_named(path: str, weights_dir: Path | None, file: str = "") -> Path:
    """What a person named: a file or folder, or `file` in that folder.

    As it stands, else in `weights_dir`, else among the user's weights. WeightsError with every place looked at.
    """
    folders = [folder for folder in (Path(), weights_dir, user_weights_dir()) if folder is not None]
    places = [folder / Path(path).expanduser() / file for folder in folders]
    for place in places if path else ():
        if place.is_file() or (not file and place.exists()):
            return place
    looked = dict.fromkeys(str(place.absolute()) for place in places)
    raise WeightsError(f"there are no weights '{path}'; looked for {', '.join(looked)}")


def weights_name(method: str, context: MethodContext, variant: str = "") -> str:
    """File name of a method's weights, for example `gesco-streets-64x128.safetensors`.

    `variant` stands after the method's name, where it has several networks.
    """
    return f"{method}{variant}-{context.dataset}-{context.height}x{context.width}.safetensors"


def own_folder(context: MethodContext) -> Path | None:
    """The folder of the weights that the context names; None where it names none, which means the package's."""
    if context.weights:
        return (context.weights_dir or user_weights_dir()) / context.weights
    return context.weights_dir


def own_names(method: str, context: MethodContext, variant: str = "") -> list[str]:
    """Names of the user's own weights of `method` that fit the context's data set and size."""
    folder, file = user_weights_dir(), weights_name(method, context, variant)
    return sorted(path.parent.name for path in folder.glob(f"*/{file}")) if folder.is_dir() else []


def find_weights(method: str, context: MethodContext, variant: str = "") -> Path:
    """The weights file for `method` in `context`.

    Where the context names weights, they and no others. Else the package's; where it ships none, what `bench weights
    import` put into the user's folder. A training's weights are never found unnamed, so that none can stand in for what
    the benchmark ships. WeightsError names the file, the places and the remedy.
    """
    file, named = weights_name(method, context, variant), own_folder(context)
    if named is not None:
        if (named / file).is_file():
            return named / file
        called = f" named '{context.weights}'" if context.weights else ""
        raise WeightsError(
            f"no weights{called} for '{method}' on {context.dataset} at {context.height}x{context.width}: there is no "
            f"{named / file}. Train them with `bench train {method} --dataset {context.dataset}`, or name others"
            f"{_choice(method, context, variant)}"
        )
    imported = user_weights_dir() / file
    for path in (*(folder / file for folder in PACKAGED), imported):
        if path.is_file() and (path != imported or not read_record(path, CARD)):
            return path
    published = "`bench weights list` says where its authors' checkpoint is published and how to import it. Or train"
    trained = (
        f" {imported} is of a training: move it into a folder of its own, {imported.parent / 'NAME'}, and name it"
        if imported.is_file()
        else ""
    )
    raise WeightsError(
        f"no weights for '{method}' on {context.dataset} at {context.height}x{context.width} "
        f"({file} is in none of: {METHOD_WEIGHTS}, {imported.parent}).{trained} "
        f"{published if context.profile == 'paper' else 'Train'} them with "
        f"`bench train {method} --dataset {context.dataset}`, or choose a data set and size that has weights. "
        f"Weights of your own are used where they are named: {method}:weights=NAME{_choice(method, context, variant)}"
    )


def _choice(method: str, context: MethodContext, variant: str) -> str:
    names = own_names(method, context, variant)
    return f" (there are: {some(names)})" if names else ""


def weights_in_use(method: str, context: MethodContext, variant: str = "") -> Weights:
    """The weights that `find_weights` finds; WeightsError where they say that they are for something else."""
    path = find_weights(method, context, variant)
    sha256, facts = file_digest(path), read_facts(path)
    profile = facts.get("profile", context.profile)
    if profile != context.profile:
        raise WeightsError(
            f"{path} was trained with the profile '{profile}', so that '{context.profile}' would sample it as "
            "something it is not; leave the profile away, 'auto' is that of the weights"
        )
    here = {"method": method, "dataset": context.dataset, "size": [context.height, context.width]}
    for key, wanted in here.items():
        if facts.get(key, wanted) != wanted:
            told = "x".join(map(str, facts[key])) if isinstance(facts[key], list) else facts[key]
            raise WeightsError(f"{path} holds weights of another {key}, '{told}', as it says itself; name others")
    return Weights(path, sha256, facts)


def trained_profile(method: str, context: MethodContext) -> str | None:
    """The profile of the weights that are found, whatever the context's; None without any, or if they say nothing."""
    try:
        return read_facts(find_weights(method, context)).get("profile")
    except WeightsError:
        return None


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; WeightsError where it cannot be read."""
    try:
        with safe_open(path, framework="np") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"cannot read weights {path}: {error}. Reinstall the package or train again.") from error


def record(metadata: Mapping[str, str], key: str) -> dict[str, Any]:
    """The JSON object under `key` in a weights file's metadata; empty where there is none."""
    try:
        found = json.loads(metadata.get(key, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def read_record(path: Path, key: str) -> dict[str, Any]:
    """`record` of a file; WeightsError where it cannot be read."""
    return record(read_metadata(path), key)


def read_facts(path: Path) -> dict[str, Any]:
    """What a weights file says of itself (method, dataset, size, profile, a training's recipe), empty for nothing.

    It is the card of a training, or the record of an import.
    """
    metadata = read_metadata(path)
    return record(metadata, CARD) or record(metadata, MANIFEST)
