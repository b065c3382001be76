"""Where the weights of `bench train` go, what must not be overwritten there, and how a person uses them."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench.api.weights
from bench.api.errors import UsageError, WeightsError
from bench.api.files import check_folder
from bench.api.specs import WEIGHTS_NAME


@dataclass(frozen=True)
class Destination:
    """A folder for trained weights, and the name by which a spec finds them there (None: --weights-dir names it)."""

    folder: Path
    name: str | None
    base: Path | None

    def to_use(self, method: str, dataset: str) -> str:
        """The command that runs a method with these weights."""
        where = f" --weights-dir {shlex.quote(str(self.base))}" if self.base else ""
        spec = f"{method}:weights={self.name}" if self.name else method
        return f"bench run --datasets {dataset} --methods {spec}{where}"

    def to_evaluate(self, metric: str, dataset: str) -> str:
        """What makes a metric ask a network of these weights, in bench.toml."""
        named = self.name if self.name and not self.base else str(self.folder.resolve())
        return f'[metrics.{metric}.evaluators], {dataset} = "own:{named}"'


def destination(name: str | None, weights_dir: Path | None) -> Destination:
    """Where weights go: the folder `name` among the user's weights or in `weights_dir`.

    `own` where nothing is named, `weights_dir` itself where only that is. UsageError, before the training and not
    after, for a name that cannot stand in a spec, or a folder that cannot be written.
    """
    if name is not None and not WEIGHTS_NAME.fullmatch(name):
        raise UsageError(f"--name '{name}': weights are named in letters, digits, '_', '.' and '-'")
    if name is None and weights_dir is None:
        name = bench.api.weights.UNNAMED
    base = weights_dir or bench.api.weights.user_weights_dir()
    folder = base / name if name else base
    check_folder(folder, "--weights-dir")
    return Destination(folder, name, weights_dir)


def check_replaceable(path: Path, known: Mapping[str, Any], record: str = "card") -> None:
    """UsageError where `path` is one of the package's weights, or of another training than this one.

    `known` is what is known of this one before it, `record` where the file keeps the like.
    """
    if not path.exists():
        return
    if path.parent.resolve() in [folder.resolve() for folder in bench.api.weights.PACKAGED]:
        raise UsageError(f"{path} comes with the benchmark and is not replaced; name another folder, and compare")
    try:
        there = bench.api.weights.read_record(path, record)
    except WeightsError as error:
        raise UsageError(f"{error}; remove it, or give these weights another --name") from None
    wanted = json.loads(json.dumps(known))
    changed = [
        f"another {key}" if isinstance(value, dict) else f"{key} was {there.get(key)}, now {value}"
        for key, value in wanted.items()
        if there.get(key) != value
    ]
    if changed:
        raise UsageError(
            f"{path} holds the weights of another training ({'; '.join(changed)}); give these another --name, or "
            "remove the file"
        )
