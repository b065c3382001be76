"""Remembering what a function returned, by the contents of its arguments: scenes come back in every cell and run."""

import hashlib
import io
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, ParamSpec, TypeVar

import numpy as np
from cachetools import LRUCache, cached

from bench.api.files import Draft, open_entry, safe_name
from bench.api.seeding import digest

#: The file of an array that is kept between runs.
ARRAY = "array.npy"
#: Memory for the results of one function: the 1-bit maps of 500 scenes of 64x128.
KEPT_BYTES = 64 << 20

P = ParamSpec("P")
T = TypeVar("T")


def remembered(function: Callable[P, T]) -> Callable[P, T]:
    """`function`, whose latest results are kept; arrays and pictures of Pillow among its arguments count by content.

    A result may be given out again, so nobody may write into it. The function has to depend on its arguments alone.
    """
    memory: LRUCache[Hashable, T] = LRUCache(KEPT_BYTES, getsizeof=_size)
    return cached(memory, key=_key, lock=Lock())(function)


def _key(*arguments: Any, **options: Any) -> Hashable:
    return (*map(_content, arguments), *sorted(options.items()))


def _content(value: Any) -> Hashable:
    if not hasattr(value, "tobytes"):
        return value  # type: ignore[no-any-return]
    form = (value.shape, value.dtype.str) if isinstance(value, np.ndarray) else (value.size, value.mode)
    return (*form, hashlib.sha256(value.tobytes()).digest())


def _size(value: Any) -> int:
    """Bytes of arrays and files, alone or in tuples."""
    if isinstance(value, tuple):
        return sum(_size(part) for part in value)
    return value.nbytes if isinstance(value, np.ndarray) else len(value or b"")


@dataclass(frozen=True)
class Kept:
    """Arrays that a run leaves in its folder for later ones: below OUT/originals, one sealed folder an array.

    Sealed folders are safe among many runs, and one that is damaged is made anew. `identity` is all that an array
    depends on beside the key that it is asked by.
    """

    out: Path
    name: str
    identity: Mapping[str, Any]

    def array(self, key: Any, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The array of a key, which JSON has to hold: from disk, or else made and left there."""
        whole = {**self.identity, "of": key}
        path = self.out / "originals" / safe_name(self.name) / digest(whole)[:16]
        if (entry := open_entry(path, key=whole)) is not None:
            return np.load(io.BytesIO(entry.read(ARRAY)), allow_pickle=False)  # type: ignore[no-any-return]
        made, buffer = make(), io.BytesIO()
        np.save(buffer, made, allow_pickle=False)
        with Draft(self.out) as draft:
            draft.write(ARRAY, buffer.getvalue())
            draft.publish(path, {"key": whole})
        return made
