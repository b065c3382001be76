"""SMIS behind the benchmark's interface."""

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
from methods.smis.method import Smis
from methods.smis.network import SmisGenerator
from tests.methods.gan_checks import check_pictures_do_not_depend_on_the_batch, random_labels, seeds

SPACE = LabelSpace("thirty-five", tuple(f"class {i}" for i in range(35)), ((0, 0, 0),) * 35, (7, 8), (8,))


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> MethodContext:
    """A context whose weights folder holds a random network of the embedded profile."""
    folder = tmp_path_factory.mktemp("weights")
    context = MethodContext("streets", SPACE, 32, 64, weights_dir=folder)
    torch.manual_seed(0)
    network = SmisGenerator(Smis.profile_for(context).generator)
    write_weights(folder / weights_name("smis", context), network.state_dict(), {"method": "smis"})
    return context


def test_pictures_do_not_depend_on_the_batch(context: MethodContext) -> None:
    check_pictures_do_not_depend_on_the_batch(Smis(context), SPACE)


def test_the_latent_is_drawn_from_each_scenes_generator(context: MethodContext) -> None:
    method = Smis(context)
    maps = torch.rand(2, 36, 32, 64)
    first = method.generate(maps, seeds(2))
    second = method.generate(maps, [seeds(2)[0], torch.Generator().manual_seed(7)])
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])


def test_it_sends_every_class_and_uses_no_fds_by_default(context: MethodContext) -> None:
    method = Smis(context)
    assert method.options["fds"] is False
    assert random_labels(method, SPACE, 1).symbols[0].shape == (36, 32, 64)
    assert method.identity()["weights_sha256"] == method.weights_digest()


def test_weights_that_do_not_fit_are_named(context: MethodContext, tmp_path: Path) -> None:
    write_weights(
        tmp_path / weights_name("smis", context),
        {**Smis(context).network.state_dict(), "fc.weight": torch.zeros(3)},
        {},
    )
    with pytest.raises(MethodError, match=r"fc\.weight is \(3,\)"):
        Smis(dataclasses.replace(context, weights_dir=tmp_path)).prepare()
