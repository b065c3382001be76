"""Errors that are messages for people, and the nearest valid name for a mistyped one."""

import difflib
import errno
from collections.abc import Iterable, Sequence
from pathlib import Path

#: Operating-system errors about the place we write to.
STORAGE_ERRORS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "no permission",
    errno.EPERM: "not permitted",
}

#: Operating-system errors about a path that nobody can have meant.
PATH_ERRORS = {errno.ENAMETOOLONG: "the name is too long", errno.ELOOP: "its links lead in a circle"}


class BenchError(Exception):
    """A run cannot go on; the message says what is wrong and what to do, `details` one problem a line. Exit code 1."""

    exit_code = 1

    def __init__(self, message: str, details: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)


class UsageError(BenchError):
    """What was asked for does not exist or does not fit together: a name, a number, a key. Exit code 2."""

    exit_code = 2


class StorageError(BenchError):
    """Our own files cannot be written: the disk is full, or forbids it.

    It ends a run, because every other cell would meet it too; the same operating-system error out of a method's or
    metric's code costs its cell only.
    """


class MethodError(Exception):
    """A message for people: a method cannot be built or run, and what to do about it."""


class ImpossibleError(MethodError):
    """A method cannot have this data set, or this size of it, whatever weights there are: no training would help."""


class MethodFault(MethodError):
    """A method's own code broke, with an exception that it does not mean for people: its cells fail, others run."""


class MetricError(Exception):
    """A message for people: a metric cannot be computed, and what to do about it."""


class MetricFault(MetricError):
    """A metric's own code broke, with an exception that it does not mean for people: it fails, others are measured."""


class WeightsError(MethodError, MetricError):
    """Weights are missing, cannot be read or do not fit, of a method or of a metric's network: the error of either."""


class DataError(Exception):
    """A message for people: a data set cannot be read; names the file and the remedy."""


class DataFault(DataError):
    """A data set's own code broke, with an exception that it does not mean for people."""


#: What failed, a message for people, and the traceback.
Failure = tuple[str, str, str]


def some(names: Sequence[str], limit: int = 5) -> str:
    """Up to `limit` names in a row, and how many more there are."""
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def nearest(name: str, valid: Iterable[str]) -> str:
    """The end of an "unknown ..." message: `; did you mean 'x'?`, or the list of (30) names where none is near."""
    names = list(valid)
    lower = {n.lower(): n for n in names}
    close = difflib.get_close_matches(name.lower(), list(lower), n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{lower[close[0]]}'?"
    return f"; known: {some(names, 30)}" if names else "; none is known"


def known_name(
    typed: str, valid: Iterable[str], what: str, where: str = "", error: type[Exception] = UsageError
) -> str:
    """The one of `valid` that was typed, whatever its case (an exact one first).

    `error` says `unknown WHAT 'typed'WHERE` with the nearest name where there is none, or several but for their case.
    """
    names = list(valid)
    fitting = [typed] if typed in names else [n for n in names if n.casefold() == typed.casefold()]
    if len(fitting) != 1:
        raise error(f"unknown {what} '{typed}'{where}{nearest(typed, names)}")
    return fitting[0]


def storage_message(error: OSError, fallback: Path | str | None = None) -> str | None:
    """One line about a full disk or a forbidden file, naming the file; None for any other operating-system error."""
    reason = STORAGE_ERRORS.get(error.errno or 0)
    if reason is None:
        return None
    where = error.filename or fallback or "a file"
    remedy = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "check the permissions"
    return f"cannot use {where}: {reason}; {remedy} or choose another folder with --out"


def path_message(error: OSError) -> str | None:
    """One line about a path that cannot be; None for any other operating-system error."""
    reason = PATH_ERRORS.get(error.errno or 0)
    named = str(error.filename)
    shown = named if len(named) <= 80 else f"{named[:80]}..."
    return None if reason is None else f"there can be no {shown}: {reason}"


def in_words(error: BaseException, meant: tuple[type[BaseException], ...] = ()) -> str:
    """What an exception of anyone's code says of itself, printable, whatever it holds.

    Its type comes first where it is none of those whose messages are `meant` for people.
    """
    try:
        said = str(error)
    except Exception:
        said = "its message cannot be read"
    said = "".join(c if c.isprintable() or c.isspace() else "?" for c in said)
    if said and isinstance(error, meant):
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
