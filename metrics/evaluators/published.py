"""Published networks in the format of the `transformers` library: a folder with configuration, weights, preprocessing.

Everything is read from the disk: no download, no code from the folder, no pickle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api.files import file_digest
from bench.api.metric import MetricError
from bench.api.seeding import text_digest
from bench.api.weights import find_file, user_weights_dir

if TYPE_CHECKING:
    import torch

WEIGHTS = "model.safetensors"
FILES = ("config.json", WEIGHTS, "preprocessor_config.json")


@dataclass(frozen=True)
class Checkpoint:
    """One published network: `repository` is its place on huggingface.co, and the last part of that the name of its
    folder among the weights. `idle` matches the names of parameters that no answer depends on, which its file lacks, or
    has in vain."""

    repository: str
    idle: str = "$^"

    @property
    def folder(self) -> str:
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


def load_folder(
    folder: Path, model: str, processor: str, device: torch.device | str, title: str, remedy: str, idle: str
) -> tuple[Any, Any]:
    """Network, float32 and in evaluation mode on `device`, and image processor of the `transformers` classes named.

    `title` is what the folder should hold, and `remedy` what to do where it does not; `idle` a pattern of tensors that
    may be missing or too many. MetricError where the package is missing, or where the folder does not hold that very
    network: `transformers` itself would fill what the file lacks with random numbers and only warn.
    """
    import torch

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
        reason = " ".join(str(error).split())[:300]
        raise MetricError(f"{folder} does not hold {title} ({reason}). {remedy}.") from error
    wrong = [
        f"{what.split('_')[0]} {key}"
        for what in _WRONG
        for key in sorted(key if isinstance(key, str) else key[0] for key in found[what])
        if not re.search(idle, key)
    ]
    wrong += [f"not finite {key}" for key, value in network.state_dict().items() if not _finite(value)]
    if wrong:
        listed = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        raise MetricError(f"{folder} does not hold {title} ({listed}). {remedy}.")
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
