"""Which devices a run uses, every visible GPU or the CPU, and how much memory is taken there."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.errors import UsageError, nearest

if TYPE_CHECKING:
    import torch

MIB = 2**20
_RESET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


@dataclass(frozen=True)
class Devices:
    """`kind` is cpu, cuda or mps; `names` are torch device names that workers share out among themselves."""

    kind: str
    names: tuple[str, ...]


def resolve_devices(wanted: str) -> Devices:
    """`auto`, `cpu`, `cuda`, `cuda:N` or `mps`, in any case -> the devices behind it; UsageError where it is none."""
    wanted = wanted.lower()
    if wanted == "cpu":
        return Devices("cpu", ("cpu",))
    kind, _, index = wanted.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (index and not (kind == "cuda" and index.isdigit())):
        raise UsageError(f"unknown device '{wanted}'{nearest(wanted, ('auto', 'cpu', 'cuda', 'cuda:0', 'mps'))}")
    if kind == "auto" and "torch" not in sys.modules and _surely_no_gpu():
        return Devices("cpu", ("cpu",))
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "auto":
        return Devices("cuda", tuple(f"cuda:{k}" for k in range(count))) if count else Devices("cpu", ("cpu",))
    if kind == "mps":
        if not torch.backends.mps.is_available():
            raise UsageError("device 'mps' is not available here; use --device cpu")
        return Devices("mps", ("mps",))
    if int(index or 0) >= count:
        raise UsageError(f"device '{wanted}' is not visible: this machine shows {count} CUDA GPU(s); use --device cpu")
    return Devices("cuda", (wanted,) if index else tuple(f"cuda:{k}" for k in range(count)))


def _surely_no_gpu() -> bool:
    """Whether no device file is of a GPU that PyTorch could use, told without importing it; False where not known."""
    files = ("nvidia*", "nvhost*", "nvgpu*", "nvmap", "dxg", "kfd")
    return sys.platform == "linux" and not any(any(Path("/dev").glob(file)) for file in files)


def torch_device(wanted: str) -> torch.device:
    """The first device behind `wanted`, for work that uses one; UsageError as `resolve_devices`."""
    import torch

    return torch.device(resolve_devices(wanted).names[0])


def cpu_name() -> str:
    """The processor's model name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else (platform.processor() or platform.machine())


def cores() -> int:
    """CPU cores that this process may use (container limits included)."""
    import joblib

    return int(joblib.cpu_count())


def memory_gib() -> float | None:
    """Physical memory in GiB, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, OSError, ValueError):
        return None


class PeakMemory:
    """The peak of memory between the making of the instance and `mib()`, on the torch device named.

    psutil tells the present size, and a peak only since the process began; here every cell needs one of its own.
    On a GPU it is what torch allocated there. On the CPU it is the resident set of the whole process, so with the
    backend `threading` that of all cells under way; only Linux lets a process set that mark back, so elsewhere there
    is no number.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._known = True
        if device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(device)
            return
        try:
            _RESET.write_text("5")  # sets the mark VmHWM back to the present size (man 5 proc)
        except OSError:
            self._known = False

    def mib(self) -> float | None:
        """The peak in MiB; None where the system does not tell."""
        if not self._known:
            return None
        if self._device.startswith("cuda"):
            import torch

            return float(torch.cuda.max_memory_allocated(self._device) / MIB)
        try:
            lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
            return int(lines["VmHWM"].split()[0]) * 1024 / MIB
        except (OSError, ValueError, KeyError, IndexError):
            return None
