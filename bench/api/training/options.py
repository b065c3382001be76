"""Setting fields of a training's profile by name: `bench train --option key=value` and [train.NAME] in bench.toml."""

from __future__ import annotations

import typing
from dataclasses import fields, is_dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bench.api.errors import MethodError, nearest

if typing.TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def apply_options(
    options: Mapping[str, Any], owner: str, settings: typing.Sequence[Any], fixed: Collection[str] = ()
) -> list[Any]:
    """Copies of the dataclass instances `settings` with `options` set; each key goes to the first that has the field.

    Values are checked against the fields' types; text stands for them as on a command line (`1e-4`, `1,1,2`). Fields
    in `fixed`, and those that are dataclasses themselves, cannot be set. MethodError names the nearest field, or what
    is wrong with a value; `owner` is whose options they are, for the message.
    """
    changed = list(settings)
    places = {}
    for place, instance in reversed(list(enumerate(settings))):
        types = typing.get_type_hints(type(instance))
        names = [f.name for f in fields(instance) if not is_dataclass(types[f.name])]
        places.update({name: (place, types[name]) for name in names})
    for name in fixed:
        places.pop(name, None)
    for key, value in options.items():
        if key not in places:
            raise MethodError(f"unknown training option '{key}' of {owner}{nearest(key, sorted(places))}")
        place, kind = places[key]
        changed[place] = replace(changed[place], **{key: _checked(value, kind, f"training option {key} of {owner}")})
    return changed


def _checked(value: Any, kind: Any, what: str) -> Any:
    """`value` as the type `kind`; text with commas is a tuple where `kind` has one."""
    kinds = (kind, *typing.get_args(kind))
    if isinstance(value, str) and any(typing.get_origin(k) is tuple for k in kinds):
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise MethodError(f"{what}: {error.errors()[0]['msg']} (it is {value!r})") from None
