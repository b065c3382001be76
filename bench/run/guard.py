"""Rules of the house for anyone's code: what a method or metric changes of the process is changed back.

A method that sets PyTorch's default type, say, would otherwise give every later method other channel noise.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from typing import Any

import numpy as np

from bench.api.lazy import torch
from bench.api.seeding import canonical

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def house_rules() -> Iterator[None]:
    """Run anyone's code inside. Afterwards PyTorch's number of threads, default type, default device and choice of
    deterministic algorithms, NumPy's treatment of floating-point errors, the working folder, the warning filters and
    (in the main thread) the handlers of SIGINT and SIGTERM are what they were. Random numbers are not: the harness
    draws none from global generators. What is printed in the main thread goes to stderr, because stdout is for what
    `bench` answers."""
    torch_rules = _torch_rules() if "torch" in sys.modules else None  # what is not imported has not been changed
    floats, folder, filters = np.geterr(), os.getcwd(), warnings.filters[:]
    main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in _SIGNALS} if main else {}
    try:
        with redirect_stdout(sys.stderr) if main else nullcontext():
            yield
    finally:
        if torch_rules is not None and torch_rules != _torch_rules():
            threads, dtype, device, deterministic, warn_only = torch_rules
            torch.set_num_threads(threads)
            torch.set_default_dtype(dtype)
            torch.set_default_device(None if device.type == "cpu" else device)
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        np.seterr(**floats)  # type: ignore[arg-type]
        with suppress(OSError):
            os.chdir(folder)
        if warnings.filters != filters:
            warnings.filters[:] = filters  # type: ignore[index]
            warnings._filters_mutated()  # type: ignore[attr-defined]
        for number, handler in handlers.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def _torch_rules() -> tuple[int, torch.dtype, torch.device, bool, bool]:
    return (
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


def sound_identity(identity: Any) -> dict[str, Any]:
    """An `identity()` as JSON data, tuples as lists; ValueError where it cannot be a part of a cache key."""
    if not isinstance(identity, dict):
        raise ValueError(f"identity() is a {type(identity).__name__}, not a dict")
    try:
        data: dict[str, Any] = json.loads(canonical(identity))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"identity() is not JSON data: {error}") from error
    return data
