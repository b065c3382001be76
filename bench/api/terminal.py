"""What reaches a terminal: nothing that it would obey, and nothing that its encoding lacks."""
# ruff: noqa: RUF001 - look-alikes are what this is about

import codecs
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar

T = TypeVar("T")

#: Name of the codec error handler that writes a look-alike where an encoding lacks a character.
LOOK_ALIKE = "bench.look_alike"
_LOOK_ALIKES = {
    "↑": "^", "↓": "v", "→": "->", "±": "+-", "×": "x", "−": "-", "–": "-", "—": "-", "…": "...", "∞": "inf",
    "✓": "yes", "✗": "no", "≥": ">=", "≤": "<=", "Δ": "diff", "δ": "delta", "•": "*", "·": ".",
    "‘": "'", "’": "'", "“": '"', "”": '"',
}  # fmt: skip


#: What moves the cursor, colours, hides or turns round what follows: control characters but line ends and tabs, line
#: separators, marks and overrides of the writing direction. And lone surrogates, which are no text.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""The text with control characters, but for line ends and tabs, as visible escapes (`\\x1b`)."""
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], text)


def say(text: object, err: bool = False) -> None:
    """Print lines for people: on a terminal folded at words to its width, elsewhere as they are."""
    stream = sys.stderr if err else sys.stdout
    columns = shutil.get_terminal_size().columns
    lines = str(text).split("\n")
    if stream.isatty():
        lines = [part for line in lines for part in _folded(line, columns)]
    print("\n".join(lines), file=stream, flush=True)


def _folded(line: str, columns: int) -> list[str]:
    """A line in several of at most so many columns, but for single words that are longer (paths, to be copied)."""
    inner = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(
        line, columns, subsequent_indent=inner, break_long_words=False, break_on_hyphens=False
    ) or [""]  # fmt: skip


def in_parallel(
    function: Callable[..., T], calls: Sequence[Any], jobs: int, what: str, shown: bool, threads: bool = False
) -> Iterator[T]:
    """Results of the calls in their order, made by `jobs` processes (or `threads`), with a bar on standard error."""
    from joblib import Parallel, delayed
    from rich.console import Console
    from rich.progress import track

    workers = Parallel(n_jobs=jobs, prefer="threads" if threads else None, return_as="generator")
    results = workers(delayed(function)(*call) for call in calls)
    yield from track(results, what, len(calls), console=Console(stderr=True), disable=not shown)


def _look_alike(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_LOOK_ALIKES.get(character, "?") for character in lacking), error.end


class _Shown:
    """A text stream that writes `visible` text. `returns` lets carriage returns through, for libraries' progress bars.

    rich, whose own control sequences are meant, writes to the stream below (it looks for `rich_proxied_file`); texts
    that it is given from files have to be made visible before.
    """

    def __init__(self, stream: TextIO, returns: bool) -> None:
        self.rich_proxied_file = stream
        self._returns = returns

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        lines = text.split("\r") if self._returns else [text]
        self.rich_proxied_file.write("\r".join(visible(line) for line in lines))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name in ("buffer", "detach"):  # click would go round us there, where the encoding is ASCII
            raise AttributeError(name)
        return getattr(self.rich_proxied_file, name)


@contextmanager
def safe_output() -> Iterator[None]:
    """Within it, everything printed is visible text, in the terminal's encoding.

    What that lacks is written as something like it (`↑` as `^` in latin-1) instead of ending the command with a
    UnicodeEncodeError.
    """
    codecs.register_error(LOOK_ALIKE, _look_alike)
    before = sys.stdout, sys.stderr
    errors = [getattr(stream, "errors", None) for stream in before]
    for stream in before:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=LOOK_ALIKE)
    out, err = before
    sys.stdout, sys.stderr = out and _Shown(out, False), err and _Shown(err, True)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream, error in zip(before, errors, strict=True):
            if hasattr(stream, "reconfigure") and error is not None:
                stream.reconfigure(errors=error)
