"""Seeded damage to files and texts: flipped, cut and repeated bytes, and values that nobody would write."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from random import Random
from typing import Any

#: Texts that try what a program does with text: escapes of terminals, of paths, of formats, of encodings.
TEXTS = (
    "", " ", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "a\rb", "a\nb", "\x00", "\x9b1m", "\u202eabc", "\ud800", "é↑∞",
    "\U0001d54f" * 40,
    "../../../etc/passwd", "/dev/null", "~nobody-here/x", "%s%n", "{0}", "{x}", "$(touch canary)", "`touch canary`",
    "; touch canary", "<script>alert(1)</script>", "a" * 5000, "nan", "inf", "-1", "1e999", "9" * 5000, "NULL", "all",
    "pure_noise", "con", ".", "..", "-", "--", "[red]x[/red]", "[/]", "'", '"', "\\", "\u2028", "\ufeff", "=1+1",
)  # fmt: skip
#: Values of every type that JSON and TOML have, most of them where they do not belong.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**400, 0.5, -0.0, 1e308, -1e308, float("nan"), float("inf"),
    [], [[]], [None], [1, 2, 3], {}, {"": ""}, {"a": {"b": []}},
)  # fmt: skip


def hostile(rng: Random) -> Any:
    """A text or a value of any type."""
    return rng.choice(TEXTS) if rng.random() < 0.5 else copy.deepcopy(rng.choice(VALUES))


def damaged_bytes(data: bytes, rng: Random) -> bytes:
    """One to four changes: a flipped bit, a cut, a repeated or removed stretch, bytes put in, or all of it replaced."""
    raw = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place, other = rng.randrange(len(raw) + 1), rng.randrange(len(raw) + 1)
        low, high = min(place, other), max(place, other)
        kind = rng.randrange(12)
        if kind < 5 and low < len(raw):
            raw[low] ^= 1 << rng.randrange(8)
        elif kind < 6:
            del raw[place:]
        elif kind < 7:
            del raw[low : min(high, low + 64)]
        elif kind < 8:
            raw[low:low] = raw[low : min(high, low + 64)]
        elif kind < 9:
            raw[place:place] = rng.randbytes(rng.randint(1, 16))
        elif kind < 10:
            raw[low : low + 4] = rng.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0"])
        elif kind < 11:
            text = rng.choice(TEXTS).encode("utf-8", "surrogatepass")
            raw[place:place] = text
        else:
            raw = bytearray(rng.choice([b"", b"\0" * 100, rng.randbytes(200), raw[::-1]]))
    return bytes(raw)


def damaged_text(text: str, rng: Random) -> str:
    """One to three changes of a text: tokens replaced, lines removed, doubled or exchanged, a hostile text put in."""
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(text) + 1)
        lines = text.split("\n")
        line, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        kind = rng.randrange(6)
        if kind == 0:
            text = text[:place] + rng.choice(TEXTS) + text[place:]
        elif kind == 1:
            text = text[:place] + text[place + rng.randint(1, 8) :]
        elif kind == 2:
            lines[line] = lines[other]
            text = "\n".join(lines)
        elif kind == 3:
            lines[line], lines[other] = lines[other], lines[line]
            text = "\n".join(lines)
        elif kind == 4:
            value = rng.choice([*"[]{}=\"'#,.", "1979-05-27", "true", "inf", "0x", "[" * 3000, "9" * 5000, "-" * 9])
            text = text[:place] + value + text[place:]
        else:
            head, equals, _ = lines[line].partition("=")
            if equals:
                lines[line] = f"{head}= {_toml(hostile(rng))}"
                text = "\n".join(lines)
    return text


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return "''" if value is None else json.dumps(value, ensure_ascii=False)


def _places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in children:
        found += _places(value, (*path, key))
    return found


def damaged_tree(tree: Any, rng: Random) -> Any:
    """A copy of JSON data with one to three values replaced, removed, renamed, doubled or nested."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(_places(tree))
        if not path:
            if rng.random() < 0.2:
                return hostile(rng)
            continue
        parent = tree
        for key in path[:-1]:
            parent = parent[key]
        key, kind = path[-1], rng.randrange(8)
        if kind < 4:
            parent[key] = hostile(rng)
        elif kind == 4:
            del parent[key]
        elif kind == 5 and isinstance(parent, dict):
            parent[rng.choice(TEXTS)] = parent.pop(key)
        elif kind == 6 and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[key]))
        else:
            depth = rng.choice([1, 3, 2000])
            for _ in range(depth):
                parent[key] = [parent[key]]
            if depth > 3:  # too deep to go on in
                return tree
    return tree


def as_json(tree: Any) -> bytes:
    """JSON as a careless program writes it: NaN and lone surrogates included; deep nesting is written by hand."""
    try:
        return json.dumps(tree).encode()
    except (RecursionError, ValueError):
        return b'{"a":' * 3000 + b"1" + b"}" * 3000


def damage_json(file: Path, rng: Random) -> None:
    """Damages a JSON file in its bytes or in its data."""
    raw = file.read_bytes()
    file.write_bytes(damaged_bytes(raw, rng) if rng.random() < 0.4 else as_json(damaged_tree(json.loads(raw), rng)))
