"""The digest of code that no distribution holds: the same in every process, another one for every edit that matters."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench.api import unpackaged
from bench.api.errors import UsageError
from bench.api.method import Method
from bench.api.registry import METHODS
from bench.api.unpackaged import _Walk

STEPS = 3
NAMES = {"b", "a", "c"}
WEIGHTS = np.arange(4.0)
TENSOR = torch.zeros(2, dtype=torch.bfloat16)
NETWORK = nn.Linear(2, 1)
TABLE: dict[str, Any] = {"x": [1, 2]}


def helper(x: float) -> float:
    return x + 1


@lru_cache
def kept(x: float) -> float:
    return helper(x)


class Base:
    factor = 2

    def scale(self) -> float:
        return kept(self.factor)


class Example(Base):
    shift: Callable[[float], float] = partial(helper, 2)

    @property
    def one(self) -> int:
        return STEPS

    @cached_property
    def two(self) -> Any:
        return [name for name in NAMES if name in TABLE], WEIGHTS, TENSOR, NETWORK

    @classmethod
    def three(cls) -> Any:
        return lambda x: {"a": cls, "b": isinstance(x, int | str)}

    @staticmethod
    def four(x: int = 4, *, y: int = 5) -> int:
        return x + y


def code(thing: Any = Example) -> str:
    return _Walk().digest(thing)


EDITS = {
    "a number": ("STEPS", 4),
    "a set": ("NAMES", {"b", "a"}),
    "an array": ("WEIGHTS", np.arange(4.0) + 1e-9),
    "an array's type": ("WEIGHTS", np.arange(4)),
    "a tensor": ("TENSOR", torch.ones(2, dtype=torch.bfloat16)),
    "a table": ("TABLE", {"x": [1, 3]}),
    "a function behind a cache": ("helper", lambda x: x + 2),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_of_what_a_class_uses_changes_it(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, value = EDITS[what]
    before = code()
    monkeypatch.setattr(sys.modules[__name__], name, value)
    assert code() != before
    monkeypatch.undo()
    assert code() == before


def test_weights_and_attributes_of_bases_change_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code()
    with torch.no_grad():
        NETWORK.weight += 1
        changed = code()
        NETWORK.weight -= 1
    assert changed != before
    monkeypatch.setattr(Base, "factor", 3)
    assert code() not in (before, changed)


@pytest.mark.parametrize(
    "edited",
    [
        "def f(x=1):\n return x + 1",
        "def f(x=2):\n return x",
        "def f(x=1):\n return [y for y in (x, 1)]",
        "def f(x=1, *, y=2):\n return x",
        "def f(x=1):\n def g(): return 2\n return x",
    ],
)
def test_code_defaults_and_inner_functions_count_and_comments_and_places_do_not(edited: str) -> None:
    def made(text: str) -> Any:
        room: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(text, "anywhere.py", "exec"), room)
        return room["f"]

    assert code(made("def f(x=1):\n return x")) == code(made("# a comment\n\ndef f(x=1):\n\n  return x  # the same"))
    assert code(made(edited)) != code(made("def f(x=1):\n return x"))


def test_what_is_installed_goes_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code(nn.Linear)
    monkeypatch.setattr(nn.Linear, "forward", lambda self, x: x)
    assert code(nn.Linear) == before


def test_it_is_the_same_in_every_process() -> None:
    """Whatever the seed of hashes, on which the order of sets and the addresses of objects depend."""
    program = (
        "from bench.api.unpackaged import _Walk\nfrom functools import cached_property\nimport math, numpy as np\n"
        "NAMES = {'b', 'a', 'c', 'd', 'e'}\nPLACE = object()\n"
        "class Example:\n"
        "  table = {'x': np.arange(3), 'y': frozenset('abc')}\n"
        "  def f(self, x): return x in {'u', 'v', 'w'}, NAMES, PLACE, [math.pi for y in NAMES]\n"
        "  two = cached_property(lambda self: Example)\n"
        "print(_Walk().digest(Example))\n"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(told) == 1


def test_a_part_that_cannot_be_pickled_is_told() -> None:
    lock = threading.Lock()

    class Holding(Method):
        def send(self, scene: Any) -> Any:
            return lock

        def receive(self, received: Any, rngs: Any) -> Any:
            return lock

    told = "method 'Holding' cannot be sent to worker processes: .*'sequential' runs"
    with unpackaged.handed_over([(METHODS, Holding)]), pytest.raises(UsageError, match=told):
        unpackaged.packed()
