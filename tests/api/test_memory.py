"""What a pure function returned is remembered by the contents of what it was given."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bench.api import memory
from bench.api.memory import remembered
from methods.common.semantic import codec, label_ctx


def test_equal_contents_are_computed_once_and_another_content_form_or_option_anew() -> None:
    calls = []

    @remembered
    def function(values: object, *rest: int, **options: int) -> tuple[bytes, ...]:
        calls.append(values)
        return (b"x" * len(calls),)

    zeros = np.zeros((2, 3), dtype=np.uint8)
    assert function(zeros) is function(zeros.copy())
    for number, other in enumerate(
        (zeros + 1, zeros.T, zeros.astype(np.int8), Image.fromarray(zeros), Image.fromarray(zeros + 1), b"bytes"), 2
    ):
        assert function(other) == function(other) == (b"x" * number,)
    assert function(zeros, 1) != function(zeros, 2) != function(zeros, room=2) != function(zeros, room=3)
    zeros[0, 0] = 9
    assert function(zeros) == (b"x" * len(calls),)


def test_memory_is_bounded_and_errors_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "KEPT_BYTES", 100)
    calls = []

    @remembered
    def function(length: int) -> np.ndarray | None:
        calls.append(length)
        if length < 0:
            raise ValueError("negative")
        return np.zeros(length, dtype=np.uint8) if length else None

    for length in (60, 60, 60, 70, 60, 101, 101, 0, 0):
        function(length)
    assert calls == [60, 70, 60, 101, 101, 0]
    for _ in range(2):
        with pytest.raises(ValueError, match="negative"):
            function(-1)
    assert calls[-2:] == [-1, -1]


@pytest.mark.parametrize("name", codec.CODECS)
def test_a_scene_that_was_coded_before_has_the_same_bits_and_maps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.random.default_rng(5).integers(0, 4, (16, 32))
    maps = np.concatenate([labels[None] == np.arange(4)[:, None, None], labels[None] > 2]).astype(np.float32)
    first = codec.CODECS[name](maps, 4)

    def nobody(*given: object, **options: object) -> None:
        raise AssertionError("coded again")

    monkeypatch.setattr(codec, "_save", nobody)
    monkeypatch.setattr(codec, "encode_labels", nobody)
    monkeypatch.setattr(label_ctx, "_code_labels", nobody)
    again = codec.CODECS[name](maps.copy(), 4)
    assert again.payload == first.payload
    np.testing.assert_array_equal(again.decoded, first.decoded)
    maps[:4] = np.roll(maps[:4], 1, axis=0)
    with pytest.raises(AssertionError, match="coded again"):
        codec.CODECS[name](maps, 4)
