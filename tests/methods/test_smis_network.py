"""The generator computes what the published SMIS network computes, under the published names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.api.method import MethodContext
from bench.checkpoints.catalogue import load_catalogue
from bench.data.ade20k import ADE20K
from methods.smis.method import Smis, ade20k_config, embedded_config, paper_config, paper_encoder
from methods.smis.network import SmisEncoder, SmisGenerator, arrange
from tests.methods.golden_helper import check, draws, noisy_maps
from tests.methods.reference_fill import checksum, filled_state

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def layout() -> dict:
    return json.loads((DATA / "smis_layout.json").read_text())


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    """Inputs and outputs of the official network at base width 70, made with the filled weights (`reference_fill`)."""
    with np.load(DATA / "smis_small.npz") as file:
        return {key.removeprefix("cityscapes."): file[key] for key in file.files}


def rows_of(network: torch.nn.Module) -> list[list]:
    return [[k, list(v.shape), str(v.dtype).removeprefix("torch.")] for k, v in network.state_dict().items()]


def test_paper_networks_have_the_published_rows(layout: dict) -> None:
    with torch.device("meta"):
        generator = SmisGenerator(paper_config(256, 512))
        encoder = SmisEncoder(paper_encoder(256, 512))
    assert rows_of(generator) == layout["cityscapes"]["G"]
    assert rows_of(encoder) == layout["cityscapes"]["E"]
    assert sum(p.numel() for p in generator.parameters()) == 76_501_358


def test_paper_networks_for_ade20k_have_the_published_rows_but_for_the_block_that_is_skipped(layout: dict) -> None:
    context, entry = MethodContext("ade20k", ADE20K, 256, 256, profile="paper"), load_catalogue().find("smis", "ade20k")
    published = layout["ade20k"]["G"]
    with torch.device("meta"):
        generator, encoder = Smis.build_network(context), SmisEncoder(Smis.profile_for(context).encoder)
    used = [row for row in published if not any(re.search(pattern, row[0]) for pattern in entry.unused)]
    assert rows_of(generator) == used
    assert {row[0].split(".")[0] for row in published if row not in used} == {"up_4"}
    assert rows_of(encoder) == layout["ade20k"]["E"]


def test_without_an_edge_channel_a_group_sees_its_label_alone() -> None:
    network = SmisGenerator(ade20k_config(64, 64, labels=4, base=8)).eval()
    assert network.head_0.norm_0.mlp_shared[0].weight.shape == (2 * 4, 1, 3, 3)
    maps, latent = torch.zeros(1, 4, 64, 64), torch.randn(1, *network.config.latent_shape)
    with torch.no_grad():
        blank = network.head_0(network.fc(latent), F.interpolate(maps, size=(1, 1)))
        maps[:, 2] = 1
        lit = network.head_0(network.fc(latent), F.interpolate(maps, size=(1, 1)))
    changed = (blank != lit).reshape(4, -1).any(1)
    assert changed.tolist() == [False, False, True, False]
    assert network(maps, latent).shape == (1, 3, 64, 64)


@pytest.mark.parametrize("case", ["clean", "noisy"])
def test_output_and_early_stages_equal_the_official_ones(
    layout: dict, golden: dict[str, np.ndarray], case: str
) -> None:
    meta = json.loads(str(golden["meta"]))
    state = filled_state(layout["small"])
    assert checksum(state) == pytest.approx(tuple(meta["fill_checksum"]), rel=1e-12)
    network = SmisGenerator(paper_config(64, 128, base=70)).eval()
    network.load_state_dict({k: torch.from_numpy(np.asarray(v)) for k, v in state.items()})
    taps: dict[str, torch.Tensor] = {}
    for name in ("fc", "head_0", "G_middle_0"):
        network.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: taps.__setitem__(name, output.clone())
        )
    clean = golden["semantics_clean"].astype(np.float32)
    maps = torch.from_numpy(clean if case == "clean" else noisy_maps(clean, 403))
    with torch.no_grad():
        output = network(maps, torch.from_numpy(draws(404, 2, 280, 1, 2))[: len(maps)])
    floor = max(meta["float32_vs_float64_maxabs"])
    names = {"output": (output, f"out_{case}")} | {f"tap {n}": (v, f"tap_{case}.{n}") for n, v in taps.items()}
    for name, (ours, key) in names.items():
        check("SMIS generator", f"cityscapes {case}", name, ours, golden[key], limit=5 * floor, floor=floor)


def test_evaluation_uses_the_stored_spectral_vectors() -> None:
    torch.manual_seed(0)  # some weights saturate every pixel
    network = SmisGenerator(embedded_config(16, 32)).eval()
    maps, latent = torch.rand(1, 36, 16, 32), torch.randn(1, 280, 1, 2)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with torch.no_grad():
        first = network(maps, latent)
        assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
        network.up_0.conv_0.weight_u.mul_(2)  # sigma doubles
        assert not torch.allclose(network(maps, latent), first)


def test_every_group_sees_its_labels_and_the_edge() -> None:
    maps = torch.arange(7.0).reshape(1, 7, 1, 1)  # six labels, edge = 6
    assert arrange(maps, 6).flatten().tolist() == [0, 6, 1, 6, 2, 6, 3, 6, 4, 6, 5, 6]
    assert arrange(maps, 2).flatten().tolist() == [0, 1, 2, 6, 3, 4, 5, 6]
    assert torch.equal(arrange(maps, 1), maps)


def test_classes_stay_apart_in_the_first_block() -> None:
    """Changing class 3's latent changes only class 3's channels of `head_0`."""
    torch.manual_seed(0)
    config = embedded_config(64, 128)
    network = SmisGenerator(config).eval()
    maps = torch.rand(1, 36, 4, 8)
    latent = torch.randn(1, *config.latent_shape)
    changed = latent.clone()
    changed[:, 24:32] += 1
    with torch.no_grad():
        difference = [network.head_0(network.fc(z), arrange(maps, 35)) for z in (latent, changed)]
    moved = (difference[0] - difference[1]).abs().amax((0, 2, 3)).reshape(35, -1).amax(1)
    assert moved[3] > 0
    assert moved[torch.arange(35) != 3].max() == 0


def test_embedded_network_is_small() -> None:
    with torch.device("meta"):
        network = SmisGenerator(embedded_config(64, 128))
    assert sum(v.numel() for v in network.state_dict().values()) * 2 < 4e6
