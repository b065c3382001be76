"""How much memory a cell takes: the highest point while it is computed.

psutil tells the present size, and a peak only since the process began; here every cell needs one of its own.
"""

from __future__ import annotations

from pathlib import Path

MIB = 2**20
_RESET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class PeakMemory:
    """The peak between the making of the instance and `mib()`, on the torch device named.

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
