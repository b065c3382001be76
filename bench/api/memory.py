"""Remembering what a pure function returned, by the contents of its arguments: scenes come back in every cell."""

import hashlib
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, ParamSpec, TypeVar

import numpy as np
from cachetools import LRUCache, cached

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
