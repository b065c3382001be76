"""What a pickle would call, read from its instructions without executing any."""

from __future__ import annotations

import pickletools
import re
from typing import IO

#: What a pickled state dict needs: an ordered dictionary, tensors and their storages, types and sizes; and what is
#: often beside it.
_HARMLESS = re.compile(
    r"collections\.OrderedDict"
    r"|torch\._utils\._rebuild_(tensor(_v[23])?|parameter)"
    r"|torch\.(\w+Storage|Size|device|float\d+|bfloat16|half|double|u?int\d+|long|bool)"
    r"|torch\.storage\.(Untyped|Typed)Storage"
    r"|argparse\.Namespace"  # settings that a training kept beside its weights: an object with values and no code
)
_TEXT = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING")


class NotAPickle(Exception):
    """The bytes are no pickle, or end before the pickle does (`truncated`)."""

    def __init__(self, reason: str, truncated: bool) -> None:
        super().__init__(reason)
        self.truncated = truncated


def foreign_globals(stream: IO[bytes]) -> list[str]:
    """Names (`module.name`) that the pickle at the stream's position refers to and a state dict does not need.

    Leaves the stream behind the pickle. Raises NotAPickle.
    """
    names: list[str] = []
    texts: list[str] = []  # pushed so far; the last two are what STACK_GLOBAL takes
    memo: dict[int, str] = {}
    remembered = 0
    last: str | None = None  # the text on top of the stack, if it is one
    try:
        for operation, argument, _ in pickletools.genops(stream):
            name = operation.name
            if name in ("GLOBAL", "INST"):
                names.append(str(argument).replace(" ", ".", 1))
                last = None
            elif name == "STACK_GLOBAL":
                names.append(".".join(texts[-2:]))
                last = None
            elif name in _TEXT:
                last = str(argument)
                texts.append(last)
            elif name in ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"):
                index = remembered if argument is None else int(argument)
                remembered += 1
                if last is not None:
                    memo[index] = last
            elif name in ("BINGET", "LONG_BINGET", "GET"):
                last = memo.get(int(str(argument)))
                texts.append(last or "?")
            else:
                last = None
    except Exception as error:  # pickletools fails in many ways on arbitrary bytes
        text = str(error) or type(error).__name__
        ended = "exhausted" in text or "not enough data" in text or "no newline found" in text
        raise NotAPickle(text, truncated=ended) from error
    return [name for name in dict.fromkeys(names) if not _HARMLESS.fullmatch(name)]
