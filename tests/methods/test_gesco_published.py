"""The variants of GESCO that its published code makes: conditioning, noise, variance, edges, and checkpoint rows."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api.errors import MethodError
from bench.api.method import Method, MethodContext, Received
from bench.api.scenes import LabelSpace, Scene, stack
from bench.api.tensors import write_weights
from bench.api.weights import weights_name
from bench.data.ade20k import ADE20K
from bench.data.cityscapes import CITYSCAPES
from bench.data.coco_stuff import COCO_STUFF
from bench.data.registry import open_dataset
from methods.common.diffusion.profile import UNetConfig, embedded_profile
from methods.common.diffusion.samplers import SAMPLERS
from methods.common.diffusion.unet import SemanticUNet
from methods.common.semantic.maps import one_hot, restore_channels, semantic_maps
from methods.gesco.method import Gesco, GescoOnLabels, GescoPublished
from methods.gesco.task import PUBLISHED_LEVELS, PublishedTask, label_values
from methods.hybrid import Hybrid
from methods.sdm import Sdm
from tests.methods.diffusion_golden import layout, with_map_channels

CATALOGUE = Path(__file__).parents[2] / "bench" / "checkpoints" / "catalogue.toml"


@pytest.fixture(scope="module")
def scene() -> Scene:
    source = open_dataset("streets")
    return stack([source.load("test", i) for i in source.ids("test", 2)], source.label_space)


def built(
    method: type[Method], folder: Path, options: dict[str, object] | None = None, space: LabelSpace | None = None
) -> Method:
    """A method with random weights of its own in `folder`, for `streets` or for the data set of `space`."""
    context = MethodContext(space.name if space else "streets", space or CITYSCAPES, 64, 128, weights_dir=folder)
    torch.manual_seed(0)
    write_weights(folder / weights_name(method.name, context), method.build_network(context).state_dict(), {})
    return method(context, options)


@pytest.mark.parametrize("space", [CITYSCAPES, COCO_STUFF, ADE20K], ids=lambda space: space.name)
@pytest.mark.parametrize("method", [Gesco, Sdm, GescoPublished])
def test_paper_networks_have_the_published_rows(method: type[Gesco], space: LabelSpace) -> None:
    """SDM's rows, in order, and GESCO's but for what the catalogue calls unused. ADE20K has 151 channels, no edges."""
    unused = tomllib.loads(CATALOGUE.read_text())["methods"]["gesco"]["unused"]
    channels = {"cityscapes": 36, "coco_stuff": 184, "ade20k": 151}[space.name]
    rows = with_map_channels(layout("paper"), channels)
    expected = [(key, shape) for key, shape in rows if not any(re.search(pattern, key) for pattern in unused)]
    assert len(rows) == 868
    assert len(expected) == 766
    with torch.device("meta"):
        network = method.build_network(MethodContext(space.name, space, 256, 512, profile="paper"))
    assert [(key, list(value.shape)) for key, value in network.state_dict().items()] == expected
    assert all(value.dtype == torch.float32 for value in network.state_dict().values())


def test_label_conditioning_changes_the_width_that_the_authors_tracker_reports() -> None:
    rows = with_map_channels(layout("paper"), 2)
    with torch.device("meta"):
        network = GescoOnLabels.build_network(MethodContext("cityscapes", CITYSCAPES, 256, 512, profile="paper"))
    expected = [(key, shape) for key, shape in rows if ".spade_norm." not in key]
    assert [(key, list(value.shape)) for key, value in network.state_dict().items()] == expected


@pytest.mark.parametrize("channels", [3, 4, 39])
def test_picture_channels_of_the_published_constructor(channels: int) -> None:
    """`noise_to` of `create_model`: "semantics" is 39, "label" 4; the published scripts reach only 3."""
    with torch.device("meta"):
        rows = SemanticUNet(UNetConfig(in_channels=channels)).state_dict()
    assert rows["input_blocks.0.0.weight"].shape == (256, channels, 3, 3)
    assert rows["out.2.weight"].shape == (6, 256, 3, 3)


def test_label_ids_are_those_of_the_scene_and_survive_dropping_and_noise(scene: Scene) -> None:
    maps = semantic_maps(scene.labels, scene.instances, 35)
    values = label_values(maps)
    assert torch.equal(values[:, 0], scene.labels.float())
    assert torch.equal(values[:, 1], maps[:, -1])
    kept = (*sorted(set(scene.labels[0].flatten().tolist())), 35)
    noise = -2 - torch.rand(len(kept), 64, 128, generator=torch.Generator().manual_seed(0))
    received = restore_channels(maps[0, list(kept)] * 4 + noise, kept, 36)  # kept classes far below the dropped ones' 0
    received[-1] = maps[0, -1]
    assert torch.equal(label_values(received[None])[0, 0], scene.labels[0].float())


def test_label_ids_without_edges_are_one_channel() -> None:
    labels = torch.tensor([[[150, 3], [0, 3]]])
    assert torch.equal(label_values(one_hot(labels, 151), with_edges=False), labels[:, None].float())
    context = MethodContext("ade20k", ADE20K, 256, 256, profile="paper")
    assert GescoOnLabels.profile_for(context).network.map_channels == 1


def test_a_network_on_label_ids_generates_from_what_the_sender_sends(scene: Scene, tmp_path: Path) -> None:
    method = built(GescoOnLabels, tmp_path, {"steps": 2})
    seen: list[torch.Tensor] = []
    prepare = method.network.prepare  # type: ignore[attr-defined]
    method.network.prepare = lambda maps, room: (seen.append(maps), prepare(maps, room))[1]  # type: ignore[attr-defined]
    sent = method.send(scene)
    rngs = [torch.Generator().manual_seed(i) for i in range(len(scene))]
    pictures = method.receive(Received(sent.symbols, sent.side_info), rngs)
    assert pictures.shape == scene.image.shape
    assert pictures.isfinite().all()
    assert sent.symbols[0].amax() == 1  # one-hot maps, not ids: the channel's peak power is kept
    assert seen[0].shape == (3, 2, 64, 128)  # two scenes and the null label
    assert not seen[0][2].any()


@pytest.mark.parametrize("method", [Gesco, Sdm, GescoOnLabels, Hybrid])
def test_without_an_edge_channel_pictures_come_from_the_labels_alone(
    scene: Scene, tmp_path: Path, method: type[Method]
) -> None:
    bare = replace(scene, label_space=ADE20K)  # ids below 35 are ADE20K's too
    drawing = built(method, tmp_path, {"steps": 2}, ADE20K)
    sent = drawing.send(bare)
    rngs = [torch.Generator().manual_seed(i) for i in range(len(bare))]
    pictures = drawing.receive(Received(sent.symbols, sent.side_info), rngs)
    assert pictures.shape == bare.image.shape
    assert pictures.isfinite().all()


def test_published_noise_is_one_map_and_one_level_a_batch(scene: Scene) -> None:
    context = MethodContext("streets", CITYSCAPES, 64, 128)
    task = PublishedTask(context, embedded_profile(36))
    generator = torch.Generator().manual_seed(0)
    clean, levels = task.sample_maps(scene, generator), []
    for step in range(90):
        noise = task.training_maps(scene, generator, step) - clean
        assert torch.allclose(noise, noise[:, :1].expand_as(noise), atol=1e-5)
        deviations = noise[:, 0].flatten(1).std(dim=1)
        assert torch.allclose(deviations, deviations.mean(), rtol=0.03)
        levels.append(min(PUBLISHED_LEVELS, key=lambda level: abs(level - float(deviations[0]))))
    counts = Counter(levels)
    assert set(counts) == set(PUBLISHED_LEVELS)
    assert 15 <= counts[0.0] <= 45  # a third


def test_published_training_gives_the_variance_channels_no_gradient(scene: Scene) -> None:
    context = MethodContext("streets", CITYSCAPES, 64, 128)
    torch.manual_seed(0)
    task = GescoPublished.training_task(context)
    losses = task.step(scene, torch.Generator().manual_seed(0), 0)
    assert losses["loss"] == losses["denoising"]
    gradient = task.networks["unet"].out[-1].bias.grad.reshape(6, -1)  # type: ignore[index, union-attr]
    assert gradient[:3].abs().max() > 0
    assert not gradient[3:].any()


def test_variance_and_edges_follow_what_the_network_was_trained_on(tmp_path: Path) -> None:
    assert built(Gesco, tmp_path).options["variance"] == "learned"
    assert built(Gesco, tmp_path).options["edges"] == "instances"
    assert built(GescoPublished, tmp_path).options["variance"] == "fixed_small"
    options = {"variance": "learned", "sampler": "ancestral"}
    assert built(GescoPublished, tmp_path, options).options["variance"] == "learned"
    paper = MethodContext("cityscapes", CITYSCAPES, 256, 512, profile="paper")
    assert {method.auto_edges(paper) for method in (Gesco, Sdm, GescoPublished)} == {"clipped"}
    for option in ("variance", "edges"):
        with pytest.raises(MethodError, match=f"unknown {option} 'big' for gesco; known: auto"):
            built(Gesco, tmp_path, {option: "big"})


def test_a_variance_that_would_change_nothing_is_refused(tmp_path: Path) -> None:
    """Else it would look like a result: another spec has other random numbers, so its pictures differ all the same."""
    for sampler in (set(SAMPLERS) | {"auto"}) - {"ancestral", "ancestral-dt"}:
        with pytest.raises(MethodError, match=r"variance=learned would change nothing.*\(ancestral, ancestral-dt\)"):
            built(Gesco, tmp_path, {"variance": "learned", "sampler": sampler})


def test_the_variance_reaches_the_sampler(scene: Scene, tmp_path: Path) -> None:
    """Same noise, same network: only the size of the steps' noise differs."""
    one = replace(
        scene, image=scene.image[:1], labels=scene.labels[:1], instances=scene.instances[:1], ids=scene.ids[:1]
    )

    def picture(variance: str) -> np.ndarray:
        method = built(Gesco, tmp_path, {"variance": variance, "sampler": "ancestral", "steps": 4})
        sent = method.send(one)
        return method.receive(Received(sent.symbols, sent.side_info), [torch.Generator().manual_seed(0)]).numpy()

    small, large = picture("fixed_small"), picture("fixed_large")
    assert np.abs(small - large).mean() > 1e-3
    assert np.array_equal(small, picture("fixed_small"))


def test_clipped_edges_are_sent_and_trained_on(scene: Scene, tmp_path: Path) -> None:
    labels = torch.full_like(scene.labels, 26)
    instances = torch.where(torch.arange(128) < 64, 26000, 26001).expand_as(scene.instances).to(torch.int32)
    cars = replace(scene, labels=labels, instances=instances)
    coco = replace(cars, label_space=COCO_STUFF)
    assert built(Gesco, tmp_path).send(cars).symbols[0][-1].any()
    assert not built(Gesco, tmp_path, {"edges": "clipped"}).send(cars).symbols[0][-1].any()
    task = GescoPublished.training_task(MethodContext("streets", CITYSCAPES, 64, 128))
    task.profile = replace(task.profile, edges="clipped")  # type: ignore[attr-defined]
    assert not task.sample_maps(cars, torch.Generator())[:, -1].any()  # type: ignore[attr-defined]
    assert task.sample_maps(coco, torch.Generator())[:, -1].any()  # type: ignore[attr-defined] # its files are 8 bit
