"""Slow and GPU tests are skipped, and listed, unless asked for. No test is about time: see tests/benchmark.py."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# a machine under load is slow without being wrong
settings.register_profile("no clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clock")

# processes beside each other would take every core each; PyTorch reads this when it is imported
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the slow tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    import torch

    reasons = {}
    if not config.getoption("--slow"):
        reasons["slow"] = "slow; run with --slow"
    if not torch.cuda.is_available():
        reasons["gpu"] = "needs a CUDA GPU"
    for item in items:
        for marker, reason in reasons.items():
            if marker in item.keywords:
                item.add_marker(pytest.mark.skip(reason=reason))
