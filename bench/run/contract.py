"""What anyone's method or metric owes the harness, checked on everything that it returns or leaves behind."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import numpy as np

from bench.api.channel import PEAK_TOLERANCE
from bench.api.errors import BenchError
from bench.api.lazy import torch
from bench.api.method import Transmission
from bench.api.metric import Metric, Score
from bench.api.scenes import Scene
from bench.api.scores import ScoreInfo
from bench.api.seeding import canonical
from metrics.stats.significance import is_mean

#: A picture may leave [0, 1] by rounding only.
RANGE_TOLERANCE = 1e-4
#: 8-bit steps by which a scene drawn again, alone, may differ on the CPU: sums depend on the size of a batch.
REDRAW_TOLERANCE = 1
#: The same as a mean over the picture on a GPU: half-precision sums depend on it more, and steps amplify that.
REDRAW_MEAN_TOLERANCE = 4.0


def accepted(sent: Any, scene: Scene, spec: str) -> Transmission:
    """A sender's transmission of a batch, checked, as the harness's own copy that nobody can change later.

    BenchError says which scene breaks which rule of `bench.api.method.Transmission`.
    """
    if not isinstance(sent, Transmission):
        raise BenchError(f"{spec} sent a {type(sent).__name__}, not a Transmission")
    if not len(sent.symbols) == len(sent.side_info) == len(sent.bits) == len(scene):
        raise BenchError(f"{spec} did not send one entry a scene")
    copies = []
    for symbols, header, bits, scene_id in zip(sent.symbols, sent.side_info, sent.bits, scene.ids, strict=True):
        who = f"{spec} sent scene {scene_id} with"
        if type(header) is not bytes:
            raise BenchError(f"{who} side information that is a {type(header).__name__}; it has to be bytes")
        if type(bits) is not int or bits < 0:
            raise BenchError(f"{who} bits {bits!r}; they have to be an integer, 0 or more")
        if not isinstance(symbols, torch.Tensor) or symbols.dtype != torch.float32 or symbols.layout != torch.strided:
            kind = getattr(symbols, "dtype", type(symbols).__name__)
            raise BenchError(f"{who} symbols of type {kind}; they have to be a float32 tensor")
        own = symbols.detach().as_subclass(torch.Tensor).to("cpu", copy=True)
        peak = float(own.abs().max()) if own.numel() else 0.0
        if not peak <= 1 + PEAK_TOLERANCE:  # the form that is also true for NaN
            raise BenchError(f"{who} amplitude {peak:g}; the limit is 1")
        copies.append(own)
    return Transmission(tuple(copies), tuple(sent.side_info), tuple(sent.bits))


def accepted_payloads(payloads: Any, scene: Scene, spec: str, room: int | None) -> tuple[bytes | None, ...]:
    """A sender's payloads for a digital link, one a scene or None; BenchError for others, and beyond `room`."""
    if not isinstance(payloads, tuple | list) or len(payloads) != len(scene):
        raise BenchError(f"{spec} did not encode one payload a scene")
    for payload, scene_id in zip(payloads, scene.ids, strict=True):
        if payload is None:
            continue
        if type(payload) is not bytes:
            raise BenchError(f"{spec} encoded scene {scene_id} as a {type(payload).__name__}; it has to be bytes")
        if room is not None and len(payload) > room:
            raise BenchError(
                f"{spec} encoded scene {scene_id} in {len(payload)} bytes; its budget of channel uses holds {room}"
            )
    return tuple(payloads)


def as_bytes(pictures: Any, count: int, size: tuple[int, int], spec: str) -> np.ndarray:
    """A receiver's pictures (B, 3, H, W) in [0, 1] as (B, H, W, 3) uint8, rounded; BenchError where they are none."""
    expected = (count, 3, *size)
    if not isinstance(pictures, torch.Tensor):
        raise BenchError(f"{spec} returned a {type(pictures).__name__}, not a tensor of pictures")
    if tuple(pictures.shape) != expected:
        raise BenchError(f"{spec} returned pictures of shape {tuple(pictures.shape)}, not {expected}")
    if pictures.dtype != torch.float32:
        raise BenchError(f"{spec} returned pictures of type {pictures.dtype}, not float32 in [0, 1]")
    pictures = pictures.detach().cpu()
    if not bool(torch.isfinite(pictures).all()):
        raise BenchError(f"{spec} returned pictures with NaN or infinite values")
    low, high = (float(bound) for bound in torch.aminmax(pictures))
    if low < -RANGE_TOLERANCE or high > 1 + RANGE_TOLERANCE:
        raise BenchError(f"{spec} returned pictures with values from {low:g} to {high:g}, outside [0, 1]")
    pixels: np.ndarray = (pictures.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    return pixels


def check_redrawn(first: np.ndarray, again: np.ndarray, scene_id: str, spec: str, on_cpu: bool) -> None:
    """BenchError where a scene's picture (H, W, 3) uint8, drawn again with equal generators, is another one."""
    apart = np.abs(first.astype(int) - again)
    if apart.max() <= REDRAW_TOLERANCE or (not on_cpu and apart.mean() <= REDRAW_MEAN_TOLERANCE):
        return
    raise BenchError(
        f"{spec} drew scene {scene_id} again, with equal generators, as another picture: {np.mean(apart > 1):.1%} of "
        f"its values differ by more than 1/255, up to {apart.max()}/255. All randomness of a scene has to come from "
        "its rngs, and a picture may depend on nothing but what is received of it: not on the batch, on scenes before "
        "it, or on anything that the sender left behind"
    )


def joined(parts: Sequence[Any], counts: Sequence[int], name: str) -> dict[str, np.ndarray]:
    """Arrays of `Metric.measure`, batches stacked; BenchError where they are not alike, with one entry a scene."""
    for part, count in zip(parts, counts, strict=True):
        if not isinstance(part, dict) or not part or set(part) != set(parts[0]):
            raise BenchError(f"{name} measured {_shown(part)}; it has to be a dict of arrays, the same for every batch")
        for key, array in part.items():
            if not isinstance(key, str) or not isinstance(array, np.ndarray) or array.dtype.kind not in "biufc":
                kind = getattr(array, "dtype", type(array).__name__)
                raise BenchError(f"{name} measured {key!r} as {kind}; it has to be an array of numbers")
            if array.shape[:1] != (count,):
                raise BenchError(
                    f"{name} measured {key!r} of shape {array.shape} for {count} scenes: one entry a scene"
                )
    try:
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    except ValueError as error:
        raise BenchError(f"{name} measured arrays that do not fit together: {error}") from error


def sound_scores(summary: Any, name: str) -> list[Score]:
    """A metric's scores; BenchError where they are none, or two have one name."""
    if not isinstance(summary, list | tuple) or not all(isinstance(score, Score) for score in summary):
        raise BenchError(f"{name} summarised its scenes as {_shown(summary)}; it has to be a list of Score")
    names = [score.metric for score in summary]
    _check_names(names, name)
    if len(set(names)) < len(names):
        raise BenchError(f"{name} gave two scores of one name: {', '.join(names)}")
    for score in summary:
        for number in (score.value, 0.0 if score.std is None else score.std):
            if not isinstance(number, int | float | np.integer | np.floating):
                raise BenchError(f"{name} gave {score.metric} = {_shown(number)}; it has to be a number")
        if isinstance(score.scenes, bool) or not isinstance(score.scenes, int | np.integer):
            raise BenchError(f"{name} gave {score.metric} of {score.scenes!r} scenes; it has to be an integer")
    return list(summary)


def sound_values(values: Any, count: int, name: str) -> dict[str, np.ndarray]:
    """A metric's values of single scenes, float64; BenchError where they are not one number a scene."""
    if not isinstance(values, Mapping):
        raise BenchError(f"{name} gave {_shown(values)} as values of single scenes; it has to be a dict of arrays")
    _check_names(list(values), name)
    for key, array in values.items():
        if not _are_numbers(array, count):
            raise BenchError(f"{name} gave {key} = {_shown(array)} for {count} scenes; it has to be one number a scene")
    return {key: array.astype(np.float64) for key, array in values.items()}


def _are_numbers(array: Any, count: int) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind in "biuf" and array.shape == (count,)


def declared(metric: Metric, scores: Sequence[Score], values: Mapping[str, np.ndarray]) -> dict[str, ScoreInfo]:
    """What a metric declares of each of its scores and of the names of single scenes' values.

    BenchError where it says nothing of one, and where a score is not the mean that it is said to be; one that is not
    finite is undefined, whatever it is made of.
    """
    found: dict[str, ScoreInfo] = {}
    for name in [*(score.metric for score in scores), *values]:
        info = next((info for info in metric.scores if info.fits(name)), None)
        if info is None:
            raise BenchError(f"{metric.name} gave {name}, which is not among the `scores` that its class declares")
        found[name] = info
    for score in scores:
        name = score.metric
        if not math.isfinite(score.value):
            continue
        if found[name].scenes == name and name in values and not is_mean(score.value, values[name]):
            raise BenchError(
                f"{metric.name} gave {name} = {score.value:g}, which is not the mean of its scenes' values"
            )
    return found


def sound_resamples(found: Any, count: int, name: str) -> dict[str, np.ndarray]:
    """A metric's scores on resampled scenes; BenchError where they are not `count` numbers a score."""
    if not isinstance(found, dict):
        raise BenchError(f"{name} resampled its scenes as {_shown(found)}; it has to be a dict of arrays")
    for key, array in found.items():
        if not _are_numbers(array, count):
            raise BenchError(f"{name} resampled {key} as {_shown(array)}; it has to be {count} numbers")
    return found


def _check_names(names: Sequence[Any], metric: str) -> None:
    for name in names:
        if not isinstance(name, str) or not name or not name.isprintable() or len(name) > 80:
            raise BenchError(f"{metric} gave a score the name {name!r:.80}; it has to be a short printable text")


def _shown(value: Any) -> str:
    about = f" of {value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else ""
    return f"a {type(value).__name__}{about}"


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def house_rules() -> Iterator[None]:
    """Run anyone's code inside: what a method or metric changes of the process is changed back.

    A method that sets PyTorch's default type, say, would otherwise give every later method other channel noise.
    Afterwards PyTorch's number of threads, default type, default device and choice of deterministic algorithms, NumPy's
    treatment of floating-point errors, the working folder, the warning filters and (in the main thread) the handlers of
    SIGINT and SIGTERM are what they were. Random numbers are not: the harness draws none from global generators. What
    is printed in the main thread goes to stderr, because stdout is for what `bench` answers.
    """
    torch_rules = _torch_rules() if "torch" in sys.modules else None  # what is not imported has not been changed
    floats, folder, filters = np.geterr(), Path.cwd(), warnings.filters[:]
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
        np.seterr(**floats)
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
