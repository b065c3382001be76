"""A worker keeps the memory that tensors free, so that pages are not faulted in again for every picture."""

from __future__ import annotations

import subprocess
import sys

import pytest

ROUNDS = """
import resource, torch
from bench.run.worker import keep_freed_memory

keep_freed_memory()

def rounds(count):
    for _ in range(count):
        activations = [torch.ones(1 << 20) for _ in range(8)]
        del activations

rounds(3)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
rounds(10)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_tensors_are_allocated_again_without_a_page_fault():
    command = [sys.executable, "-c", ROUNDS]
    faults = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert faults < 8 * (4 << 20) // 4096  # the pages of one round of ten
