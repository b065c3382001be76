"""OASIS behind the benchmark's interface."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from bench.api.errors import MethodError
from bench.api.method import MethodContext
from bench.api.scenes import LabelSpace
from bench.api.tensors import write_weights
from bench.api.weights import weights_name
from methods.oasis import Oasis
from tests.methods.gan_checks import check_pictures_do_not_depend_on_the_batch, random_labels, seeds

LABELS = 12
SPACE = LabelSpace(
    "twelve", tuple(f"class {i}" for i in range(LABELS)), ((0, 0, 0),) * LABELS, (7, 8), (8,), LABELS - 1
)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> MethodContext:
    """A context whose weights folder holds a random network of the embedded profile."""
    folder = tmp_path_factory.mktemp("weights")
    context = MethodContext("streets", SPACE, 32, 64, weights_dir=folder)
    torch.manual_seed(0)
    write_weights(folder / weights_name("oasis", context), Oasis.build_network(context).state_dict(), {})
    return context


def test_pictures_do_not_depend_on_the_batch(context: MethodContext) -> None:
    check_pictures_do_not_depend_on_the_batch(Oasis(context), SPACE)


def test_the_noise_is_drawn_from_each_scenes_generator(context: MethodContext) -> None:
    method = Oasis(context)
    maps = torch.rand(2, LABELS, 32, 64)
    first = method.generate(maps, seeds(2))
    second = method.generate(maps, [seeds(2)[0], torch.Generator().manual_seed(7)])
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])


def test_the_network_sees_unknown_first(context: MethodContext) -> None:
    """As published for COCO-Stuff: channel 0 is unknown, label v is channel v + 1."""
    method = Oasis(context)
    seen: list[torch.Tensor] = []
    method.network.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    maps = torch.arange(float(LABELS)).reshape(1, LABELS, 1, 1).expand(1, LABELS, 32, 64)
    method.generate(maps, seeds(1))
    assert seen[0][0, :, 0, 0].tolist() == [LABELS - 1, *range(LABELS - 1)]


def test_it_sends_every_class_without_edges_and_uses_no_fds_by_default(context: MethodContext) -> None:
    method = Oasis(context)
    assert method.options["fds"] is False
    assert random_labels(method, SPACE, 1).symbols[0].shape == (LABELS, 32, 64)
    assert method.identity()["weights_sha256"] == method.weights_digest()


def test_it_runs_behind_fds_with_dropped_classes(context: MethodContext) -> None:
    method = Oasis(context, {"fds": True, "drop_absent": True})
    assert method.receive(random_labels(method, SPACE, 2), seeds(2)).shape == (2, 3, 32, 64)


def test_weights_that_do_not_fit_are_named(context: MethodContext, tmp_path: Path) -> None:
    state = {**Oasis(context).network.state_dict(), "fc.weight": torch.zeros(3)}
    write_weights(tmp_path / weights_name("oasis", context), state, {})
    with pytest.raises(MethodError, match=r"fc\.weight is \(3,\)"):
        Oasis(dataclasses.replace(context, weights_dir=tmp_path)).prepare()
