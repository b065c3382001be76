"""A small catalogue and small checkpoints in the containers in which authors publish theirs."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from bench.checkpoints.catalogue import Catalogue, Published


@dataclass(frozen=True)
class Config:
    """What a fake network is made of."""

    channels: int
    width: int


class Network(nn.Module):
    """A convolution over the map, a spectrally normalised one (weight_orig, _u, _v), and batch normalisation."""

    def __init__(self, channels: int, width: int = 4) -> None:
        super().__init__()
        self.config = Config(channels, width)
        self.fc = nn.Conv2d(channels, width, 3)
        self.conv = spectral_norm(nn.Conv2d(width, width, 3))
        self.norm = nn.BatchNorm2d(width, affine=False)


class Other(nn.Module):
    """Another method's network: a row more than `Network`'s, which its authors' files call unused."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Conv2d(36, 4, 3)


def entry(name: str, dataset: str, build: type[nn.Module] | None = None, **facts: object) -> Published:
    """An entry of the fake catalogue; the network of `fake` has 36 or 184 channels by data set."""
    channels = {"cityscapes": 36, "coco_stuff": 184}[dataset]
    make = build or (lambda: Network(channels))
    files = (f"{dataset}_pretrained/latest_net_G.pth",)
    known = {"title": name.title(), "files": files, "licence": "MIT", "page": "https://example.org", **facts}
    return Published(name, dataset, f"{name}-{dataset}-256x512.safetensors", make, **known)  # type: ignore[arg-type]


CATALOGUE = Catalogue(
    (
        entry("fake", "cityscapes", size=(256, 512)),
        entry("fake", "coco_stuff"),
        entry("other", "cityscapes", Other, unused=(r"^spare\.",), archive="other.zip"),
        entry("bare", "cityscapes", Other, public=False, note="nobody publishes it"),
    ),
    layouts={151: "ADE20K's labels"},
)


def state(channels: int = 36, **changes: Tensor | None) -> dict[str, Tensor]:
    """The state of a fake network with random values; `changes` replaces rows (dots as __), None removes them."""
    torch.manual_seed(0)
    tensors: dict[str, Tensor] = dict(Network(channels).state_dict())
    for key, value in changes.items():
        tensors.pop(key.replace("__", "."), None)
        if value is not None:
            tensors[key.replace("__", ".")] = value
    return tensors


def save(path: Path, content: object, stream: bool = False) -> Path:
    """`torch.save` in the zip format, or in the older stream of pickles."""
    torch.save(content, path, _use_new_zipfile_serialization=not stream)
    return path


def saved_bytes(content: object) -> bytes:
    """What `torch.save` writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def zipped(path: Path, members: Mapping[str, bytes]) -> Path:
    """A zip archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, members: Mapping[str, bytes], mode: str = "w:gz", link: str | None = None) -> Path:
    """A tar archive; `link` adds a symbolic link to /etc/passwd of that name."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)
    return path
