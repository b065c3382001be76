"""Recipe fields by name: from a command line or from bench.toml, checked against their types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from bench.api.errors import MethodError
from bench.api.specs import apply_options


@dataclass(frozen=True)
class Inner:
    width: int = 8
    factors: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Outer:
    inner: Inner = Inner()
    rate: float = 1e-3
    finetune: float | None = None
    levels: tuple[float, ...] | None = None
    kind: Literal["one", "two"] = "one"
    steps: int = 5


def test_text_and_data_set_the_same_fields() -> None:
    text = {"rate": "2e-4", "levels": "0.5, 0", "kind": "two", "factors": "1,4", "width": "16", "finetune": "0.1"}
    data = {"rate": 2e-4, "levels": [0.5, 0], "kind": "two", "factors": [1, 4], "width": 16, "finetune": 0.1}
    for options in (text, data):
        outer, inner = apply_options(options, "x", [Outer(), Inner()])
        assert outer == Outer(Inner(), 2e-4, 0.1, (0.5, 0.0), "two")
        assert inner == Inner(16, (1, 4))
    assert apply_options({}, "x", [Outer()]) == [Outer()]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"widht": "3"}, "unknown training option 'widht' of x; did you mean 'width'"),
        ({"steps": "3"}, "unknown training option 'steps' of x"),
        ({"inner": "3"}, "unknown training option 'inner' of x"),
        ({"rate": "fast"}, r"option rate of x: .*number.*'fast'"),
        ({"width": "1.5"}, r"option width of x: .*integer"),
        ({"kind": "three"}, r"option kind of x: .*'one' or 'two'"),
        ({"factors": "1,x"}, r"option factors of x"),
    ],
)
def test_mistakes_are_named(options: dict[str, str], said: str) -> None:
    with pytest.raises(MethodError, match=said):
        apply_options(options, "x", [Outer(), Inner()], fixed=("steps",))
