"""CC-FPSE behind the benchmark's interface."""

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
from methods.ccfpse import CcFpse
from tests.methods.gan_checks import check_pictures_do_not_depend_on_the_batch, random_labels, seeds

SPACE = LabelSpace("nine", tuple(f"class {i}" for i in range(9)), ((0, 0, 0),) * 9, (7, 8), (8,))


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> MethodContext:
    """A context whose weights folder holds a random network of the embedded profile."""
    folder = tmp_path_factory.mktemp("weights")
    context = MethodContext("nine", SPACE, 32, 64, weights_dir=folder)
    torch.manual_seed(0)
    network = CcFpse.build_network(context)
    write_weights(folder / weights_name("ccfpse", context), network.state_dict(), {"method": "ccfpse"})
    return context


def test_pictures_do_not_depend_on_the_batch(context: MethodContext) -> None:
    check_pictures_do_not_depend_on_the_batch(CcFpse(context), SPACE)


def test_the_latent_is_drawn_from_each_scenes_generator(context: MethodContext) -> None:
    method = CcFpse(context)
    maps = torch.rand(2, 10, 32, 64)
    first = method.generate(maps, seeds(2))
    second = method.generate(maps, [seeds(2)[0], torch.Generator().manual_seed(7)])
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])


def test_noise_on_the_maps_reaches_the_picture(context: MethodContext) -> None:
    method = CcFpse(context)
    maps = torch.rand(1, 10, 32, 64)
    noisy = maps + 0.36 * torch.randn(maps.shape, generator=torch.Generator().manual_seed(3))
    assert not torch.allclose(method.generate(maps, seeds(1)), method.generate(noisy, seeds(1)), atol=1e-3)


def test_it_sends_every_class_and_uses_no_fds_by_default(context: MethodContext) -> None:
    method = CcFpse(context)
    assert method.options["fds"] is False
    assert random_labels(method, SPACE, 1).symbols[0].shape == (10, 32, 64)
    assert method.identity()["weights_sha256"] == method.weights_digest()


def test_weights_that_do_not_fit_are_named(context: MethodContext, tmp_path: Path) -> None:
    write_weights(
        tmp_path / weights_name("ccfpse", context),
        {**CcFpse(context).network.state_dict(), "fc.weight": torch.zeros(3)},
        {},
    )
    with pytest.raises(MethodError, match=r"fc\.weight is \(3,\)"):
        CcFpse(dataclasses.replace(context, weights_dir=tmp_path)).prepare()


def test_the_paper_profile_is_deeper_on_cityscapes_alone() -> None:
    space = dataclasses.replace(SPACE, names=("x",) * 35, palette=((0, 0, 0),) * 35)
    context = MethodContext("cityscapes", space, 256, 512, profile="paper")
    with torch.device("meta"):
        deep = CcFpse.build_network(context)
        other = dataclasses.replace(space, names=("x",) * 183, palette=((0, 0, 0),) * 183)
        shallow = CcFpse.build_network(dataclasses.replace(context, width=256, label_space=other))
    assert (deep.config.seed, deep.config.levels) == ((4, 8), 7)
    assert (shallow.config.seed, shallow.config.levels) == ((8, 8), 6)
