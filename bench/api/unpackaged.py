"""Methods, metrics, data sets and channels that are in no distribution: classes or instances, handed over in Python.

While they are `handed_over` the registries know them by name, like those of entry points, and so do worker processes,
which get their code by value. What makes such a part cannot be told from a version, so its identity holds a digest of
its code: an edited class is another one, and nothing that was computed with the old one is taken for it.
"""

from __future__ import annotations

import copy
import dis
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from bench.api.errors import DataError, MethodError, UsageError, in_words
from bench.api.registry import CHANNELS, DATASETS, METHODS, METRICS, OWN, REGISTRIES, Registry
from bench.api.scores import find_score
from bench.api.seeding import digest

#: The key of the digest in an identity.
UNPACKAGED = "unpackaged"
_NAME = re.compile(r"[A-Za-z0-9_]{1,60}")
#: What a worker process is sent of each part: its group, its name, and the pickled class or instance.
Packed = tuple[tuple[str, str, bytes], ...]


def is_part(thing: object) -> bool:
    """Whether it is a class or an instance, in the place of a name."""
    return thing is not None and not isinstance(thing, str | int | float | Path)


def name_of(registry: Registry[Any], thing: object) -> str:
    """What a class or instance is called: by its `name` (a channel's `kind`), else as its class.

    UsageError for what is not of the registry's kind, or cannot be called so.
    """
    from pkgutil import resolve_name

    kind = thing if isinstance(thing, type) else type(thing)
    base = resolve_name(registry.base)
    if not issubclass(kind, base):
        where = f"{base.__module__}.{base.__name__}"
        raise UsageError(f"{kind.__name__} is no {registry.what}: it is not a subclass of {where}")
    attribute = "kind" if registry is CHANNELS else "name"
    name = str(getattr(thing, attribute, None) or kind.__name__)
    if not _NAME.fullmatch(name):
        raise UsageError(f"{registry.what} '{name}': a name has only letters, digits and '_'")
    return name


@contextmanager
def handed_over(parts: Iterable[tuple[Registry[Any], object]]) -> Iterator[None]:
    """Within, the registries know these classes and instances; UsageError for a name that is taken."""
    added: list[tuple[Registry[Any], str]] = []
    try:
        for registry, thing in parts:
            name = name_of(registry, thing)
            known = registry.unpackaged.get(name)
            if isinstance(known, _Part) and known.thing is thing:
                continue
            if any(name.casefold() == other.casefold() for other in registry.names()):
                raise UsageError(f"there is another {registry.what} called '{name}': give yours a name of its own")
            registry.unpackaged[name] = _Part(registry, name, thing)
            added.append((registry, name))
        find_score.cache_clear()
        yield
    finally:
        for registry, name in added:
            del registry.unpackaged[name]
        find_score.cache_clear()


class _Part:
    """One part under its name; called, it gives the class that the harness builds."""

    def __init__(self, registry: Registry[Any], name: str, thing: object) -> None:
        self.thing, self.walk = thing, _Walk()
        self.code = self.walk.digest(_essence(thing))
        self.kind = _adopted(registry, name, thing, self.code)

    def __call__(self) -> type[Any]:
        return self.kind


def unpackaged_parts() -> list[str]:
    """A line on each, for the notes of results: what it is, its name and its digest."""
    return [
        f"{UNPACKAGED}: the {registry.what} {name}, which no distribution holds; its code is {part.code[:12]}"
        for registry in REGISTRIES
        for name, part in registry.unpackaged.items()
        if isinstance(part, _Part)
    ]


def packed() -> Packed:
    """All parts as worker processes get them; UsageError for one that cannot be pickled."""
    import cloudpickle

    found = []
    for registry in REGISTRIES:
        for name, part in registry.unpackaged.items():
            assert isinstance(part, _Part)
            with ExitStack() as by_value:
                for module in part.walk.modules:  # what runs is what is here, whatever its file says by now
                    cloudpickle.register_pickle_by_value(module)
                    by_value.callback(cloudpickle.unregister_pickle_by_value, module)
                try:
                    found.append((registry.group, name, cloudpickle.dumps(part.thing)))
                except Exception as error:  # anyone's class
                    told = f"{registry.what} '{name}' cannot be sent to worker processes: {in_words(error)}"
                    raise UsageError(f"{told}; the backend 'sequential' runs it in this process") from None
    return tuple(found)


def unpack(parts: Packed) -> None:
    """First in a worker process: its registries know the parts of the process that started it."""
    import cloudpickle

    for group, name, pickled in parts:
        registry = next(registry for registry in REGISTRIES if registry.group == group)
        try:
            registry.unpackaged[name] = _Part(registry, name, cloudpickle.loads(pickled))
        except Exception as error:  # anyone's class
            registry.unpackaged[name] = _Broken(registry, name, error)


class _Broken:
    """A part that did not get through to this process."""

    def __init__(self, registry: Registry[Any], name: str, error: Exception) -> None:
        self.fault = registry.fault
        self.message = f"{registry.what} '{name}' cannot be used in a worker process: {in_words(error)}"

    def __call__(self) -> type[Any]:
        raise self.fault(self.message)


def _essence(thing: object) -> object:
    """What of a class or instance makes what it does: of a method or metric not where it was asked to work."""
    if isinstance(thing, type):
        return thing
    return type(thing), {name: value for name, value in vars(thing).items() if name != "context"}


def _adopted(registry: Registry[Any], name: str, thing: Any, code: str) -> type[Any]:
    """A subclass that has the name and, in what it says of itself, the digest; of an instance one that gives copies."""
    kind: Any = thing if isinstance(thing, type) else type(thing)
    body: dict[str, Any] = {"__module__": kind.__module__, "__doc__": kind.__doc__}
    body["kind" if registry is CHANNELS else "name"] = name
    if registry is DATASETS:

        def fingerprint(self: Any, split: str, ids: Sequence[str]) -> str:
            return digest([kind.fingerprint(self, split, ids), code])

        body["fingerprint"] = fingerprint
    else:

        def identity(self: Any) -> dict[str, Any]:
            return {**kind.identity(self), UNPACKAGED: code}

        body["identity"] = identity
    if registry is CHANNELS:

        def realisation(self: Any) -> dict[str, Any]:
            drawn = dict(kind.realisation.fget(self))
            drawn.pop(UNPACKAGED, None)  # an edited channel keeps its random numbers
            return drawn

        body["realisation"] = property(realisation)
        body["title"] = getattr(kind, "title", name)
    elif registry is METHODS:
        body["title"] = getattr(kind, "title", name)
    if not isinstance(thing, type) and registry is not CHANNELS:
        body |= _copies(registry, name, thing)
    made: type[Any] = type(kind)(kind.__name__, (kind,), body)
    return made


def _copies(registry: Registry[Any], name: str, instance: Any) -> dict[str, Any]:
    """The constructor of a class whose instances are copies of one, and what goes with it."""
    where: Any = getattr(instance, "context", None)

    def check(context: Any) -> None:
        for what in ("dataset", "height", "width"):
            built, asked = (getattr(one, what, None) for one in (where, context))
            if built != asked:
                raise registry.error(f"this {name} was built for the {what} {built}, not {asked}: pass its class")

    def of_method(self: Any, context: Any, options: Mapping[str, Any] | None = None) -> None:
        check(context)
        if options and {**instance.options, **options} != instance.options:
            raise MethodError(f"options cannot be set of {name}, which is an instance: pass its class")
        vars(self).update({**copy.deepcopy(vars(instance)), "context": context})

    def of_metric(self: Any, context: Any) -> None:
        check(context)
        vars(self).update({**copy.deepcopy(vars(instance)), "context": context})

    def of_dataset(self: Any, *asked: Any) -> None:
        size = next((one for one in asked if isinstance(one, tuple)), None)
        if size not in (None, (instance.height, instance.width)):
            raise DataError(f"{name} is an instance at {instance.height}x{instance.width}: pass its class")
        vars(self).update(copy.deepcopy(vars(instance)))

    if registry is METHODS:
        return {"__init__": of_method, "default_options": {**instance.default_options, **instance.options}}
    return {"__init__": of_metric if registry is METRICS else of_dataset}


class _Walk:
    """Digests what code is made of: compiled functions, the classes around them, and whatever they refer to.

    Compiled code is what runs; its file may have been edited since. What belongs to the standard library, to installed
    distributions or to the benchmark goes by its name.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._seen: dict[int, int] = {}
        self._kept: list[object] = []  # so that no other object gets the identity of one that was seen
        #: Modules of nobody's distribution that were met, but `__main__`.
        self.modules: list[ModuleType] = []

    def digest(self, thing: object) -> str:
        """SHA-256, in hexadecimal digits."""
        self._add(thing)
        return self._hash.hexdigest()

    def _write(self, kind: str, text: str | bytes = b"") -> None:
        data = text.encode(errors="surrogatepass") if isinstance(text, str) else text
        self._hash.update(f"{kind} {len(data)} ".encode() + data)

    def _add(self, value: Any) -> None:
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            self._write(type(value).__name__, value if isinstance(value, bytes) else repr(value))
        elif type(value) is tuple:
            self._write("tuple", str(len(value)))
            for one in value:
                self._add(one)
        elif isinstance(value, set | frozenset):
            self._write("set", repr(sorted(_Walk().digest(one) for one in value)))
        elif id(value) in self._seen:
            self._write("again", str(self._seen[id(value)]))
        else:
            self._seen[id(value)] = len(self._seen)
            self._kept.append(value)
            self._open(value)

    def _open(self, value: Any) -> None:
        if isinstance(value, ModuleType):
            self._write("module", value.__name__)
        elif isinstance(value, CodeType):
            self._write("code", value.co_name)
            for part in ("code", "names", "varnames", "freevars", "cellvars", "flags", "exceptiontable", "consts"):
                self._add(getattr(value, f"co_{part}"))
        elif isinstance(value, type | FunctionType | BuiltinFunctionType):
            self._write("named", value.__qualname__)
            if isinstance(value, BuiltinFunctionType) or not self._is_own(value.__module__):
                self._write("module", str(value.__module__))
            elif isinstance(value, type):
                self._class(value)
            else:
                self._function(value)
        elif inner := [getattr(value, name) for name in _WRAPPERS if hasattr(type(value), name) or _says(value, name)]:
            self._write("around", type(value).__name__)
            self._add(tuple(inner))
        else:
            self._object(value)

    def _class(self, kind: type) -> None:
        self._add(kind.__bases__)
        for name, value in sorted(vars(kind).items()):
            code = isinstance(value, FunctionType | classmethod | staticmethod | property)
            if name != "_abc_impl" and (code or not name.startswith("__")):
                self._write("has", name)
                self._add(value)

    def _function(self, function: FunctionType) -> None:
        self._add(function.__code__)
        self._add((function.__defaults__, function.__kwdefaults__))
        for cell in function.__closure__ or ():
            try:
                self._add(cell.cell_contents)
            except ValueError:  # not set yet
                self._write("empty")
        for name in sorted(_globals_of(function.__code__)):
            if name in function.__globals__:
                self._write("uses", name)
                self._add(function.__globals__[name])

    def _object(self, value: Any) -> None:
        """Anything else, by its type and what a pickle of it would hold."""
        self._add(type(value))
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.Tensor):
            flat = value.detach().cpu().contiguous()
            self._add((str(flat.dtype), tuple(flat.shape), flat.reshape(-1).view(torch.uint8).numpy().tobytes()))
        elif type(value) is dict:
            for key, one in value.items():
                self._add((key, one))
        elif type(value) is list:
            self._add(tuple(value))
        else:
            try:
                made = value.__reduce_ex__(4)
            except Exception:  # a lock, a file, a handle: it says nothing
                return
            self._add(made if isinstance(made, str) else tuple(list(p) if hasattr(p, "__next__") else p for p in made))

    def _is_own(self, name: str | None) -> bool:
        """Whether a module is in no distribution: a notebook's, a script, a file beside them."""
        top = str(name).partition(".")[0]
        if top == "__main__":  # of the process that a class comes from, whatever it is in this one
            return True
        if top in OWN or top in sys.stdlib_module_names:
            return False
        module = sys.modules.get(str(name))
        file = getattr(module, "__file__", None)
        if file is not None and {"site-packages", "dist-packages"} & set(Path(file).parts):
            return False
        if isinstance(module, ModuleType) and module not in self.modules:
            self.modules.append(module)
        return True


#: Attributes under which wrappers of functions keep them: class methods, caches, properties.
_WRAPPERS = ("__func__", "__wrapped__", "fget", "fset", "fdel")


def _says(value: object, name: str) -> bool:
    """Whether an object itself has an attribute; none of its code is asked."""
    return name in getattr(value, "__dict__", ())


def _globals_of(code: CodeType) -> set[str]:
    """The names of globals that code uses, and that the code in it does."""
    used = {str(one.argval) for one in dis.get_instructions(code) if one.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return used.union(*(_globals_of(inner) for inner in code.co_consts if isinstance(inner, CodeType)))
