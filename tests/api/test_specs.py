"""Spec strings: what they stand for, and what is said of a mistyped one."""

from __future__ import annotations

import pytest

from bench.api.errors import MethodError
from bench.api.specs import parse_spec


@pytest.mark.parametrize(
    ("text", "canonical", "options"),
    [
        ("smis", "smis", {}),
        (" smis+fds ", "smis+fds", {"fds": True, "drop_absent": True}),
        ("gesco-fds", "gesco-nofds", {"fds": False}),
        ("gesco-nofds", "gesco-nofds", {"fds": False}),
        ("gesco:steps=50:guidance=2", "gesco:guidance=2.0:steps=50", {"steps": 50, "guidance": 2.0}),
        ("gesco:guidance=2:steps=50", "gesco:guidance=2.0:steps=50", {"steps": 50, "guidance": 2.0}),
        ("full_image:codec=jpeg75", "full_image:codec=jpeg75", {"codec": "jpeg75"}),
        ("gesco:fds=false", "gesco:fds=False", {"fds": False}),
    ],
)
def test_specs(text: str, canonical: str, options: dict) -> None:
    spec = parse_spec(text)
    assert spec.text == canonical
    assert spec.options == options


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gesko", "did you mean 'gesco'"),
        ("gesco+fsd", "did you mean"),
        ("gesco:step=50", "did you mean 'steps'"),
        ("gesco:steps=many", "not a int"),
        ("full_image+fds", "sends no semantic maps"),
        ("gesco steps", "cannot read"),
        ("gesco:guidance=nan", "option guidance of gesco in .*nan is not a finite number"),
        ("gesco:guidance=-inf", "option guidance of gesco in .*-inf is not a finite number"),
        ("gesco:fds=2", "'2' is not a bool"),
        ("", "not a method spec"),
    ],
)
def test_mistakes_are_named_with_the_remedy(text: str, said: str) -> None:
    with pytest.raises(MethodError, match=said):
        parse_spec(text)
