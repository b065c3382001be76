"""The spec strings that name methods and set their options, and options of trainings.

Grammar: NAME, then any number of `+fds`, `-fds`, `-nofds` (the same as `-fds`), `+digital` and `:option=value`, for
example `smis`, `smis+fds`, `gesco-nofds`, `gesco:steps=50:guidance=1.5`, `oasis+digital:link=16qam@0.5`.
"""

import math
import re
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from bench.api.errors import MethodError, nearest
from bench.api.method import Method, MethodContext
from bench.api.registry import METHODS

#: modifier -> the options that it sets. `+fds` is GESCO's sender and FDS block in front of any semantic method.
MODIFIERS: dict[str, dict[str, Any]] = {
    "+fds": {"fds": True, "drop_absent": True},
    "-fds": {"fds": False},
    "-nofds": {"fds": False},
}
#: The option of every method with weights that names weights of the user's own; it says where they are, not what is
#: done, so it goes to the context (`MethodContext.weights`).
WEIGHTS = "weights"
#: The modifier that puts a digital link between sender and receiver, and its option: MODULATION@RATE.
DIGITAL, LINK = "+digital", "link"
DEFAULT_LINK = "qpsk@0.4"
#: The option of every method that says how many real channel uses a scene has: a budget for what a link carries,
#: repetition for what is sent as it is; 0 is as many as the method takes.
USES = "uses"
#: The option that says how side information gets to the receiver: free of error and counted in bytes, or in a frame of
#: its own ahead of the symbols, which the channel may corrupt (bench/run/transport.py).
HEADER, FREE, CODED = "header", "free", "coded"
#: Options that are the harness's and not the method's.
_OF_THE_HARNESS = (LINK, USES, HEADER)
#: What such weights can be called: a folder's name that can stand in a spec.
WEIGHTS_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_NAME = re.compile(r"[A-Za-z0-9_]+")
_SPEC = re.compile(rf"(?P<name>{_NAME.pattern})(?P<rest>.*)", re.DOTALL)
_PART = re.compile(r"(?P<modifier>[+-][A-Za-z_]+)|:(?P<key>[a-z_]+)=(?P<value>[^:+\s]+)")


@dataclass(frozen=True)
class MethodSpec:
    """A parsed spec string: the method's name and the options that the string sets; `text` is its canonical form."""

    text: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    #: The same method with nothing of the link: whose random numbers its receiver has (bench/run/transport.py).
    analogue: str = ""

    @property
    def digital(self) -> bool:
        """Whether a digital link carries what it sends."""
        return LINK in self.options


def all_methods(admit: Callable[[str], None] = lambda name: None) -> tuple[list[str], list[str]]:
    """What `all` stands for: every installed method that is no variant of another one and does not ask to be named.

    Their names, and a message for each that cannot be used, because a broken plug-in must not take the others down.
    `admit` is asked before a method is imported, and may raise MethodError.
    """
    names, broken = [], []
    for name in METHODS.names():
        if not _NAME.fullmatch(name):
            broken.append(f"method '{name}' cannot be named in a spec: only letters, digits and _ can")
            continue
        try:
            admit(name)
            if (kind := METHODS.load(name)).variant_of is None and not kind.by_name:
                names.append(name)
        except MethodError as error:
            broken.append(str(error))
    return names, broken


def _value(text: str, default: Any, where: str) -> Any:
    """Read an option's text as the type of its default."""
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
        if isinstance(default, int):
            return int(text)
        if isinstance(default, float):
            return float(text)
    except (ValueError, KeyError):
        raise MethodError(f"{where}: '{text[:80]}' is not a {type(default).__name__}") from None
    return text


def _checked(value: Any, default: Any, where: str) -> Any:
    """`value` where it is of its default's type (a whole number is a float too) and finite, else MethodError."""
    if default is None:
        return value
    kind = type(default)
    fits = isinstance(value, int | float) if kind is float else isinstance(value, kind)
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise MethodError(f"{where}: {str(value)[:80]!r} is a {type(value).__name__}, not a {kind.__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise MethodError(f"{where}: {value} is not a finite number")
    return float(value) if kind is float else value


def check_options(name: str, options: Mapping[str, Any], where: str) -> dict[str, Any]:
    """`options` of a method as they are passed on; `where` says in words where they are from.

    MethodError for an unknown one, a value of another type, or a number that is not finite.
    """
    known = known_options(METHODS.load(name))
    checked = {}
    for key, value in options.items():
        if key not in known:
            raise MethodError(f"unknown option '{key}' of {name} in {where}{nearest(key, sorted(known))}")
        checked[key] = _checked(value, known[key], f"option {key} of {name} in {where}")
    named = checked.get(WEIGHTS)
    if named is not None and not WEIGHTS_NAME.fullmatch(named):
        raise MethodError(
            f"option weights of {name} in {where}: '{named}' cannot name weights; it is the name of a folder, in "
            "letters, digits, '_', '.' and '-'"
        )
    return checked


def method_defaults(method: type[Method]) -> dict[str, Any]:
    """Every option of a method with its default, those of the semantic front end included."""
    return {**getattr(method, "semantic_options", {}), **method.default_options}


def has_weights(method: type[Method]) -> bool:
    """Whether a method has weights, as it says by a network of its own, or by `weights_digest`."""
    builds = getattr(method.build_network, "__func__", None) is not getattr(Method.build_network, "__func__", None)
    return builds or method.weights_digest is not Method.weights_digest


def known_options(method: type[Method]) -> dict[str, Any]:
    """Every option that a spec or bench.toml can set, with its default: the method's, and the name of its weights."""
    links = {} if method.encode is Method.encode else {LINK: DEFAULT_LINK, HEADER: FREE}
    return {**method_defaults(method), **({WEIGHTS: ""} if has_weights(method) else {}), **links, USES: 0}


def spec_name(text: str) -> str:
    """The method's name in a spec string, in its own case; it may be no valid one. Nothing is imported."""
    return _parts(text)[0]


def _parts(text: str) -> tuple[str, str]:
    match = _SPEC.fullmatch(text.strip())
    if match is None:
        raise MethodError(f"'{text}' is not a method spec; write for example smis, smis+fds or gesco:steps=50")
    fitting = [name for name in METHODS.names() if name.casefold() == match["name"].casefold()]
    return fitting[0] if len(fitting) == 1 else match["name"], match["rest"]


def parse_spec(text: str) -> MethodSpec:
    """Parse a spec string, names in any case; MethodError names the nearest method, modifier or option."""
    name, rest = _parts(text)
    method = METHODS.load(name)
    defaults = known_options(method)
    options: dict[str, Any] = {}
    modifiers: list[str] = []
    position = 0
    while position < len(rest):
        part = _PART.match(rest, position)
        if part is None:
            raise MethodError(f"cannot read '{rest[position:]}' in method spec '{text}'; write +fds or :option=value")
        if part["modifier"]:
            modifier = part["modifier"].lower()
            known = sorted([*MODIFIERS, DIGITAL])
            if modifier not in known:
                raise MethodError(f"unknown modifier '{modifier}' in '{text}'{nearest(modifier, known)}")
            if modifier == DIGITAL and LINK not in defaults:
                raise MethodError(f"'{name}' sends no bytes, so '{modifier}' does not apply to it")
            if modifier != DIGITAL and "fds" not in defaults:
                raise MethodError(f"'{name}' sends no semantic maps, so '{modifier}' does not apply to it")
            digital = {LINK: DEFAULT_LINK, **method.digital_options}
            options.update(digital if modifier == DIGITAL else MODIFIERS[modifier])
            modifiers.append("-nofds" if modifier == "-fds" else modifier)
        else:
            key = part["key"]
            if key not in defaults:
                raise MethodError(f"unknown option '{key}' of {name} in '{text}'{nearest(key, sorted(defaults))}")
            options[key] = _value(part["value"], defaults[key], f"option {key} in '{text}'")
        position = part.end()
    options = check_options(name, options, f"'{text}'")
    explicit = sorted(k for k in options if f":{k}=" in rest)
    if LINK in explicit and DIGITAL not in modifiers:
        raise MethodError(f"'{text}' names a link and sends no bytes: write {name}{DIGITAL}:{LINK}={options[LINK]}")
    unsaid = {*_OF_THE_HARNESS, *(method.digital_options if DIGITAL in modifiers else ())}

    def written(modifiers: Iterable[str], keys: Iterable[str]) -> str:
        return name + "".join(dict.fromkeys(modifiers)) + "".join(f":{k}={options[k]}" for k in keys)

    analogue = written([m for m in modifiers if m != DIGITAL], [k for k in explicit if k not in unsaid])
    return MethodSpec(written(modifiers, explicit), name, options, analogue)


def build_method(spec: MethodSpec, context: MethodContext, configured: Mapping[str, Any] | None = None) -> Method:
    """Build a method: defaults, then `configured` (bench.toml), then the spec's options; MethodFault if it breaks."""
    options = {**check_options(spec.name, configured or {}, f"[methods.{spec.name}]"), **spec.options}
    if WEIGHTS in options:
        context = replace(context, weights=options.pop(WEIGHTS))
    for name in _OF_THE_HARNESS:
        options.pop(name, None)
    return METHODS.build(spec.name, context, options, called=spec.text)


def apply_options(
    options: Mapping[str, Any], owner: str, settings: Sequence[Any], fixed: Collection[str] = ()
) -> list[Any]:
    """Copies of the dataclass instances `settings` with `options` set; each key goes to the first that has the field.

    This is how `bench train --option key=value` and [train.NAME] in bench.toml reach a training's profile. Values are
    checked against the fields' types; text stands for them as on a command line (`1e-4`, `1,1,2`). Fields in `fixed`,
    and those that are dataclasses themselves, cannot be set. MethodError names the nearest field, or what is wrong with
    a value; `owner` is whose options they are, for the message.
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
        changed[place] = replace(changed[place], **{key: typed_value(value, kind, f"training option {key} of {owner}")})
    return changed


def typed_value(value: Any, kind: Any, what: str, error: type[Exception] = MethodError) -> Any:
    """`value` as the type `kind`, which text may stand for; `error` says what is wrong with it.

    Text with commas is a tuple where `kind` has one.
    """
    from pydantic import TypeAdapter, ValidationError

    kinds = (kind, *typing.get_args(kind))
    if isinstance(value, str) and any(typing.get_origin(k) is tuple for k in kinds):
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as wrong:
        raise error(f"{what}: {wrong.errors()[0]['msg']} (it is {repr(value)[:80]})") from None
