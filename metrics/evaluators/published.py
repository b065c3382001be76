"""Published weights that metrics ask for and that do not ship: what they are, what is skipped without, reading them.

Two kinds: single files of PyTorch (`StandardFile`), and folders of the `transformers` library with configuration,
weights and preprocessing (`Checkpoint`). Everything is read from the disk: no download, nothing in them is executed.
`LISTED` has all of both, for `bench weights list`.
"""

from __future__ import annotations

import os
import pickle
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api.errors import MetricError, some
from bench.api.files import file_digest
from bench.api.lazy import torch
from bench.api.registry import DATASETS
from bench.api.scenes import facts_of
from bench.api.seeding import text_digest
from bench.api.weights import find_file, user_weights_dir

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "model.safetensors"
FILES = ("config.json", WEIGHTS, "preprocessor_config.json")


@dataclass(frozen=True)
class Checkpoint:
    """One published network: `repository` is its place on huggingface.co.

    `idle` matches the names of parameters that no answer depends on, which its file lacks, or has in vain.
    """

    repository: str
    idle: str = "$^"

    @property
    def folder(self) -> str:
        """Name of its folder among the weights."""
        return self.repository.rpartition("/")[2]

    @property
    def remedy(self) -> str:
        """What a person has to do to have it."""
        return (
            f"Download {', '.join(FILES[:-1])} and {FILES[-1]} from https://huggingface.co/{self.repository} into "
            f"{user_weights_dir() / self.folder}"
        )

    def find(self, weights_dir: Path | None) -> Path:
        """Its folder: in `weights_dir`, else among the user's weights; MetricError says which files are missing."""
        folder = find_file(f"{self.folder}/{WEIGHTS}", weights_dir, f"{self.remedy}.").parent
        missing = [file for file in FILES if not (folder / file).is_file()]
        if missing:
            raise MetricError(f"{folder} lacks {' and '.join(missing)}. {self.remedy}.")
        return folder

    def digest(self, folder: Path) -> str:
        """SHA-256 over the digests of the folder's files: all three determine what the network answers."""
        return text_digest(" ".join(file_digest(folder / file) for file in FILES))

    def load(self, folder: Path, model: str, processor: str, device: torch.device | str) -> tuple[Any, Any]:
        """`load_folder` of this network."""
        return load_folder(folder, model, processor, device, self.repository, self.remedy, self.idle)


#: Tensors of segmenters that no answer depends on: counters, indices, the loss's weights, and heads for training alone.
SEGMENTER_IDLE = r"num_batches_tracked$|position_ids$|relative_position_index$|^criterion\.|^auxiliary_head\."
#: The published MaskFormer (Cheng et al., NeurIPS 2021, arXiv 2107.06278) that answers all classes of COCO-Stuff: 171,
#: trained on its 10k subset. The ones named `...-coco` are panoptic: their 133 classes merge most of the stuff. The
#: paper says MaskFormer on COCO-Stuff and not which.
MASKFORMER = Checkpoint("facebook/maskformer-resnet101-coco-stuff", SEGMENTER_IDLE)
#: The published file counts the batches that its normalisation has seen.
DETR = Checkpoint("facebook/detr-resnet-50", r"num_batches_tracked$")
#: The first fusion has nothing to add to, so its first residual layer is never asked; the published file lacks it
#: (github.com/huggingface/transformers/issues/28292).
DPT = Checkpoint("Intel/dpt-large", r"neck\.fusion_stage\.layers\.0\.residual_layer1\.")


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
    Listed("vgg16", VGG16.file, VGG16.url, "LPIPS[vgg] or DISTS"),
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
        raise MetricError(f"{path} does not hold {what} ({reason(error)})") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise MetricError(f"{path} does not hold {what}: it is no mapping from names to tensors")
    return state


def reason(error: BaseException) -> str:
    """What an error says, on one line that is not too long."""
    return " ".join(str(error).split())[:300]


def check_unchanged(path: Path, digest: str) -> None:
    """MetricError where a file is no longer the one whose SHA-256 is known."""
    if file_digest(path) != digest:
        raise MetricError(f"{path} was replaced while it was read; start again")


def load_exactly(network: torch.nn.Module, state: dict[str, Tensor], path: Path, what: str) -> None:
    """Give a network (which may be without memory, on the meta device) the tensors of a file as its own.

    MetricError where names or shapes differ, or a value is not finite: a number would come out nevertheless.
    """
    broken = [key for key, value in state.items() if not _finite(value)]
    if broken:
        raise MetricError(f"{path} does not hold {what}: tensor '{broken[0]}' has NaN or infinity")
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise MetricError(f"{path} does not hold {what} ({reason(error)})") from error


def load_folder(
    folder: Path, model: str, processor: str, device: torch.device | str, title: str, remedy: str, idle: str
) -> tuple[Any, Any]:
    """Network, float32 and in evaluation mode on `device`, and image processor of the `transformers` classes named.

    `title` is what the folder should hold, and `remedy` what to do where it does not; `idle` a pattern of tensors that
    may be missing or too many. MetricError where the package is missing, or where the folder does not hold that very
    network: `transformers` itself would fill what the file lacks with random numbers and only warn.
    """
    try:
        import transformers
    except ImportError as error:
        raise MetricError(f"{title} needs the package transformers: pip install transformers") from error
    kind = getattr(transformers, model)
    try:
        with _quiet(transformers), torch.random.fork_rng(devices=[]):
            config = kind.config_class.from_pretrained(folder, local_files_only=True)
            if getattr(config, "use_pretrained_backbone", None):
                config.use_pretrained_backbone = False  # the file has the backbone; this would download another one
            network, found = kind.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # told below, by name
                output_loading_info=True,
            )
            prepare = getattr(transformers, processor).from_pretrained(folder, local_files_only=True)
    # not only OSError and ValueError: a configuration that fits no network fails anywhere inside the library
    except Exception as error:
        raise MetricError(f"{folder} does not hold {title} ({reason(error)}). {remedy}.") from error
    wrong = [
        f"{what.split('_')[0]} {key}"
        for what in _WRONG
        for key in sorted(key if isinstance(key, str) else key[0] for key in found[what])
        if not re.search(idle, key)
    ]
    wrong += [f"not finite {key}" for key, value in network.state_dict().items() if not _finite(value)]
    if wrong:
        raise MetricError(f"{folder} does not hold {title} ({some(wrong, 3)}). {remedy}.")
    return network.float().eval().requires_grad_(False).to(device), prepare


#: What `transformers` says of a file that does not fit the network.
_WRONG = ("missing_keys", "mismatched_keys", "unexpected_keys")


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Neither progress bars nor warnings of the library: what it warns of is checked, and told in one message."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _finite(value: torch.Tensor) -> bool:
    return not value.is_floating_point() or bool(value.isfinite().all())


def picture_bytes(images: torch.Tensor) -> list[Any]:
    """Pictures (B, 3, H, W) float32 in [0, 1] -> what image processors take: a list of (H, W, 3) uint8 arrays."""
    return list((images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
