"""Where numbers come from: commit, versions, machine."""

import importlib.metadata
import platform
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.api.device import cpu_name
from bench.api.files import file_digest
from bench.api.seeding import text_digest

#: Distributions whose versions can change a picture or a number.
PACKAGES = (
    "gesco-bench", "torch", "torchvision", "numpy", "scipy", "pillow", "opencv-python-headless", "lpips", "timm",
    "transformers", "mmsegmentation",
)  # fmt: skip
#: What pictures and numbers are made by: folders of Python files.
_SOURCES = ("methods", "metrics", "bench/api", "bench/channels", "bench/data", "bench/run")


def source_digest(*folders: str) -> str:
    """SHA-256 over the Python files in folders below the packages' own, wherever the packages are installed."""
    root = Path(__file__).resolve().parents[2]
    files = sorted(file for folder in folders for file in (root / folder).rglob("*.py"))
    return text_digest("".join(f"\n{file.relative_to(root).as_posix()} {file_digest(file)}" for file in files))


def _git(*arguments: str) -> str | None:
    folder = Path(__file__).resolve().parents[2]
    try:
        command = ["git", "-C", str(folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)  # noqa: S603 - git and our own words
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def package_version(package: str) -> str | None:
    """The installed version of a distribution, None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@lru_cache(maxsize=1)
def code_provenance() -> dict[str, Any]:
    """Commit, whether the checkout had changes, digest of the source, versions and processor.

    The first two are None where the package is not run from its repository.
    """
    commit = changes = None
    if (Path(__file__).resolve().parents[2] / ".git").exists():  # not the repository of a surrounding project
        commit = _git("rev-parse", "HEAD")
        changes = _git("status", "--porcelain", "--untracked-files=no") if commit else None
    return {
        "commit": commit,
        "dirty": None if changes is None else bool(changes),
        "source_sha256": source_digest(*_SOURCES),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := package_version(name))},
        "platform": platform.platform(),
        "cpu": cpu_name(),
    }


def commit_in_words(provenance: dict[str, Any]) -> str:
    """The commit of `code_provenance()`, and whether the checkout had changes; `unknown` outside a repository."""
    return f"{provenance.get('commit') or 'unknown'}{'+changes' if provenance.get('dirty') else ''}"


def device_names(names: tuple[str, ...]) -> list[str]:
    """Names of the devices in use, for people: the GPU's model for cuda devices."""
    if not any(name.startswith("cuda") for name in names):
        return list(names)
    import torch

    return [f"{name} ({torch.cuda.get_device_name(name)})" for name in names]


def command_line() -> str:
    """The command as typed, without the folder of the script; a notebook's says nothing but a place on this machine."""
    name = Path(sys.argv[0]).name
    return "a notebook" if name.startswith("ipykernel") else " ".join([name, *sys.argv[1:]])


def check_provenance(facts: dict[str, Any]) -> None:
    """ValueError, in one line, where provenance in a file by anyone has not the types that readers take for granted."""
    from pydantic import BaseModel, ValidationError

    class Run(BaseModel):
        ablation: str | None
        cell_ids: list[str]

    class Scenes(BaseModel):
        dataset: str
        split: str
        size: tuple[int, int]
        opened_as: str
        root: str | None
        resize: str
        scenes_used: int
        fingerprint: str | None
        harness: int | None
        methods: dict[str, dict[str, Any]]
        metrics: dict[str, dict[str, Any]]
        scores: dict[str, list[str]]

    class Picture(BaseModel):
        folder: str

    class Facts(BaseModel):
        runs: list[Run]
        sets: dict[str, Scenes]
        pictures: dict[str, Picture]
        methods: dict[str, dict[str, Any]]
        cell_folders: list[str]
        reference_folders: list[str]
        cells_computed_at: list[str]
        devices: list[str] | None = None
        packages: dict[str, str] | None = None
        left_out: list[str] = []
        failures: list[str] = []
        notes: list[str] = []

    try:
        Facts.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"its provenance: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
