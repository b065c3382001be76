"""Published weights that metrics ask for and that the project does not ship: file, source, and what is skipped without.

Two kinds: single files of PyTorch, read without executing anything in them (`StandardFile`), and folders of the
`transformers` library (`metrics/evaluators/published.py`). `LISTED` has all of both, for `bench weights list`.
"""

from __future__ import annotations

import os
import pickle
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.files import file_digest
from bench.api.lazy import torch
from bench.api.metric import MetricError
from bench.api.registry import DATASETS
from bench.api.scenes import facts_of
from bench.api.weights import find_file, user_weights_dir
from metrics.evaluators.published import DETR, DPT, FILES, MASKFORMER, WEIGHTS, Checkpoint

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class StandardFile:
    """One published file: its name in a folder of weights, where it is published, and its SHA-256."""

    file: str
    url: str
    sha256: str

    @property
    def remedy(self) -> str:
        """What a person has to do to have it."""
        return f"Download {self.url} into one of these"

    def find(self, weights_dir: Path | None) -> Path:
        """The file, from `weights_dir`, the user's folder, or torch's cache of downloads, which other packages fill.

        MetricError says what to download, or that the file's SHA-256 is not the published one.
        """
        cached = _torch_cache() / self.file
        try:
            path = find_file(self.file, weights_dir, f"{self.remedy}.")
        except MetricError:
            if not cached.is_file():
                raise
            path = cached
        if (found := file_digest(path)) != self.sha256:
            raise MetricError(
                f"{path} is not the published file: its SHA-256 begins with {found[:12]}, not with {self.sha256[:12]}. "
                f"Download {self.url} again"
            )
        return path


def _torch_cache() -> Path:
    """Where `torch.hub` keeps downloads, without asking PyTorch, whose import takes seconds."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    return Path(os.environ.get("TORCH_HOME", cache / "torch")).expanduser() / "hub" / "checkpoints"


#: pytorch-fid's port of the Inception network of the first FID code, trained on ImageNet.
INCEPTION = StandardFile(
    "pt_inception-2015-12-05-6726825d.pth",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
)
#: torchvision's VGG16, trained on ImageNet.
VGG16 = StandardFile(
    "vgg16-397923af.pth",
    "https://download.pytorch.org/models/vgg16-397923af.pth",
    "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
)


@dataclass(frozen=True)
class Listed:
    """A line of `bench weights list`.

    `file` has the weights, below a folder of weights; `page` is where it is published. `skipped` are the metrics that
    are not computed without it, on the data sets that have an evaluator of that `name`, or on all.
    """

    name: str
    file: str
    page: str
    skipped: str

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets that name it among their evaluators."""
        named = ((name, facts_of(name).evaluators.values()) for name in DATASETS.built_in())
        return tuple(name for name, evaluators in named if any(self.name in kind for kind in evaluators))

    def find(self, weights_dir: Path | None) -> Path | None:
        """Where it lies, None where it is missing; torch's cache counts for single files."""
        folders = [weights_dir, user_weights_dir(), *([] if "/" in self.file else [_torch_cache()])]
        places = (folder / self.file for folder in folders if folder is not None)
        return next((place for place in places if place.is_file()), None)

    @property
    def command(self) -> str:
        """What to type to have it among the user's weights."""
        target = shlex.quote(str(user_weights_dir() / self.file.partition("/")[0]))
        if "/" not in self.file:
            return f"curl --create-dirs -Lo {target} {self.page}"
        return f"hf download {self.page.removeprefix(_HUB)} {' '.join(FILES)} --local-dir {target}"

    @property
    def note(self) -> str:
        """What is missing without it."""
        where = f" on {', '.join(self.datasets)}" if self.datasets else ""
        return f"without it {self.skipped} is skipped{where}"


_HUB = "https://huggingface.co/"


def _folder(name: str, published: Checkpoint, skipped: str) -> Listed:
    return Listed(name, f"{published.folder}/{WEIGHTS}", f"{_HUB}{published.repository}", skipped)


LISTED = (
    Listed("inception", INCEPTION.file, INCEPTION.url, "FID[inception]"),
    Listed("vgg16", VGG16.file, VGG16.url, "LPIPS[vgg]"),
    _folder("maskformer", MASKFORMER, "mIoU"),
    _folder("detr_resnet_50", DETR, "objects"),
    _folder("dpt_large", DPT, "depth"),
)
"""All of them, for `bench weights list` and `bench doctor`."""


def read_state(path: Path, what: str) -> dict[str, Tensor]:
    """The tensors of a PyTorch file by name; nothing in it is executed. MetricError where it is no such file."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise MetricError(f"{path} does not hold {what} ({reason})") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise MetricError(f"{path} does not hold {what}: it is no mapping from names to tensors")
    return state


def check_unchanged(path: Path, digest: str) -> None:
    """MetricError where a file is no longer the one whose SHA-256 is known."""
    if file_digest(path) != digest:
        raise MetricError(f"{path} was replaced while it was read; start again")


def load_exactly(network: torch.nn.Module, state: dict[str, Tensor], path: Path, what: str) -> None:
    """Give a network (which may be without memory, on the meta device) the tensors of a file as its own.

    MetricError where names or shapes differ, or a value is not finite: a number would come out nevertheless.
    """
    broken = [key for key, value in state.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if broken:
        raise MetricError(f"{path} does not hold {what}: tensor '{broken[0]}' has NaN or infinity")
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise MetricError(f"{path} does not hold {what} ({reason})") from error
