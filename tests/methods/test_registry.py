"""Spec strings and the discovery of methods."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint

import pytest

from bench.api import specs as registry
from bench.api.method import MethodError
from bench.api.specs import all_methods, load_method, method_names, parse_spec


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
        ("gesco:guidance=nan", "option guidance of gesco in .*nan is not a finite number"),
        ("gesco:guidance=-inf", "option guidance of gesco in .*-inf is not a finite number"),
        ("gesco:fds=2", "'2' is not a bool"),
        ("", "not a method spec"),
    ],
)
def test_mistakes_are_named_with_the_remedy(text: str, said: str) -> None:
    with pytest.raises(MethodError, match=said):
        parse_spec(text)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes these the only registered methods: names to entry point values, all of one package."""

    def register(**points: str) -> None:
        made = {n.replace("__", "-"): EntryPoint(n.replace("__", "-"), v, registry.GROUP) for n, v in points.items()}
        monkeypatch.setattr(registry, "_entry_points", lambda: made)

    return register


def test_all_is_the_seven_methods_of_the_benchmark_and_no_variant() -> None:
    names, broken = all_methods()
    assert {"full_image", "spade", "ccfpse", "smis", "oasis", "sdm", "gesco"} <= set(names)
    assert broken == []
    variants = {name: load_method(name).variant_of for name in method_names() if name not in names}
    assert variants["gesco_fdstrain"] == "gesco"
    assert set(variants.values()) <= set(names)


def test_all_passes_over_what_cannot_be_used_and_names_it(registered: Callable[..., None]) -> None:
    registered(
        full_image="methods.full_image:FullImage",
        broken="no_such_module:Method",
        text="bench.api.specs:GROUP",
        with__hyphen="methods.full_image:FullImage",
    )
    names, told = all_methods()
    assert names == ["full_image"]
    assert [message.split(" (")[0] for message in told] == [
        "method 'broken' of an unknown package cannot be imported",
        "method 'text'",
        "method 'with-hyphen' cannot be named in a spec: only letters, digits and _ can",
    ]
    assert "no_such_module" in told[0]
    with pytest.raises(MethodError, match=r"'broken'.*cannot be imported"):
        parse_spec("broken")


def test_every_method_says_what_it_is() -> None:
    for name in ("full_image", "smis", "gesco", "gesco_fdstrain"):
        method = load_method(name)
        assert method.name == name
        assert method.title
