"""What a run asks for by name: `all` spelled out, specs parsed, plug-ins tried before they are imported here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench.api.errors import MethodError, MethodFault, UsageError
from bench.api.names import ALL
from bench.api.registry import METHODS
from bench.api.specs import MethodSpec, all_methods, parse_spec, spec_name
from bench.run.trial import Told, Trial


def expanded(asked: Sequence[str], everything: Sequence[str]) -> list[str]:
    """Names in order, without repetition, everything in the place of `all`."""
    wanted = [name for one in asked for name in (everything if one.casefold() == ALL else (one,))]
    return list(dict.fromkeys(wanted))


def methods_asked(asked: Sequence[str], trial: Trial, told: Told) -> tuple[list[MethodSpec], set[str]]:
    """The methods asked for, and those of them that only `all` stands for; what `all` cannot import is left out, and
    what is named and breaks while it is imported has failed. UsageError for a name or an option that does not exist."""
    everything: list[str] = []
    named = [name for name in asked if name.casefold() != ALL]
    if len(named) < len(asked):  # listing methods imports them, third parties' too: only where asked for
        everything, broken = all_methods(partial(trial.loads, METHODS))
        told.left_out += broken
    specs: dict[str, MethodSpec] = {}
    by_name = set()
    for text in expanded(asked, everything):
        try:
            name = spec_name(text)
            if name in METHODS.names():
                trial.loads(METHODS, name)
            spec = parse_spec(text)
        except MethodFault as error:
            told.failed(text, error)
            continue
        except MethodError as error:
            raise UsageError(str(error)) from None
        specs[spec.text] = spec
        if text in named:
            by_name.add(spec.text)
    return list(specs.values()), set(everything) - by_name
