"""What authors of plug-ins import has one address, and costs nothing until it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import bench.api


def test_every_name_that_is_offered_is_there_and_no_other_one() -> None:
    for name in bench.api.__all__:
        assert getattr(bench.api, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        bench.api.Nothing  # noqa: B018


def test_contracts_are_imported_without_pytorch() -> None:
    code = (
        "import sys; from bench.api import Channel, LabelSpace, Method, Metric, Scene, ScoreInfo, Transmission; "
        "print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
