"""Spec strings and the discovery of methods."""

from __future__ import annotations

import pytest

from methods.base import MethodError
from methods.registry import load_method, method_names, parse_spec


def test_built_in_methods_are_entry_points() -> None:
    assert {"full_image", "smis", "gesco", "gesco_fdstrain"} <= set(method_names())


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
        ("", "not a method spec"),
    ],
)
def test_mistakes_are_named_with_the_remedy(text: str, said: str) -> None:
    with pytest.raises(MethodError, match=said):
        parse_spec(text)


def test_every_method_says_what_it_is() -> None:
    for name in ("full_image", "smis", "gesco", "gesco_fdstrain"):
        method = load_method(name)
        assert method.name == name
        assert method.title
