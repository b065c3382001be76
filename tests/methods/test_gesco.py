"""GESCO as a method and as a training, on tiny inputs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api.errors import MethodError
from bench.api.method import MethodContext, Received
from bench.api.scenes import Scene, stack
from bench.api.specs import build_method, parse_spec
from bench.api.tensors import write_weights
from bench.api.weights import weights_name
from bench.data.registry import open_dataset
from methods.common.diffusion.profile import UNetConfig
from methods.common.diffusion.samplers import SAMPLERS
from methods.common.diffusion.unet import SemanticUNet
from methods.common.semantic.maps import fast_denoise, instance_edges, one_hot
from methods.gesco.method import BEHIND_FDS_FROM, Gesco, GescoBehindFds, GescoPublished
from methods.gesco.task import NOISE_LEVELS, corrupted_maps, draw_noise_levels


@pytest.fixture(scope="module")
def scene() -> Scene:
    source = open_dataset("streets")
    return stack([source.load("test", i) for i in source.ids("test", 2)], source.label_space)


@pytest.fixture(scope="module")
def context(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> MethodContext:
    """A context whose weights folder holds a randomly initialised embedded network."""
    folder = tmp_path_factory.mktemp("weights")
    context = MethodContext("streets", scene.label_space, 64, 128, weights_dir=folder)
    torch.manual_seed(0)
    network = SemanticUNet(Gesco.profile_for(context).network)
    write_weights(folder / weights_name("gesco", context), network.state_dict(), {"card": "random"})
    return context


def received(method: Gesco, scene: Scene) -> Received:
    sent = method.send(scene)
    return Received(sent.symbols, sent.side_info)


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(count)]


def test_sender_keeps_present_classes_and_counts_their_list(context: MethodContext, scene: Scene) -> None:
    method = Gesco(context, {"steps": 2})
    sent = method.send(scene)
    for symbols, header, bits, labels in zip(sent.symbols, sent.side_info, sent.bits, scene.labels, strict=True):
        kept = method.sent_channels(header)
        assert list(kept) == [*sorted(set(labels.flatten().tolist())), 35]
        assert len(header) == 5  # one bit a label, in whole bytes
        assert symbols.shape == (len(kept), 64, 128)
        assert symbols.max() == 1.0  # peak power P = 1
        assert bits > 35


def test_received_maps_are_padded_with_clean_zero_maps(context: MethodContext, scene: Scene) -> None:
    method = Gesco(context, {"steps": 2})
    maps = method.received_maps(received(method, scene))
    clean = torch.cat([one_hot(scene.labels, 35), instance_edges(scene.labels, scene.instances)], dim=1)
    assert torch.equal(maps, fast_denoise(clean))
    raw = Gesco(context, {"steps": 2, "fds": False})
    assert torch.equal(raw.received_maps(received(raw, scene)), clean)


def test_a_picture_depends_on_its_own_generator_only(context: MethodContext, scene: Scene) -> None:
    method = Gesco(context, {"steps": 3})
    both = method.receive(received(method, scene), generators(2))
    assert both.shape == (2, 3, 64, 128)
    assert both.dtype == torch.float32
    assert 0 <= both.min() <= both.max() <= 1
    one = received(method, scene)
    alone = method.receive(Received(one.symbols[1:], one.side_info[1:]), generators(2)[1:])
    assert (alone[0] - both[1]).abs().max() <= 1 / 255


def test_spec_options_reach_the_sampler_and_the_identity(context: MethodContext) -> None:
    method = build_method(parse_spec("gesco-nofds:steps=7"), context, {"guidance": 1.25})
    assert isinstance(method, Gesco)
    assert len(method.schedule) == 7
    options = method.identity()["options"]
    assert (options["fds"], options["steps"], options["guidance"]) == (False, 7, 1.25)
    assert method.identity()["weights_sha256"]


def test_guidance_is_the_papers_for_the_data_set_unless_named(context: MethodContext) -> None:
    """2 on Cityscapes, 2.5 on COCO-Stuff (section 4.1), as on what stands for them; 2.5 on ADE20K (README)."""
    assert Gesco(context).identity()["options"]["guidance"] == 2.0
    for dataset in ("stuff", "coco_stuff", "ade20k"):
        other = replace(context, dataset=dataset)
        write_weights(
            context.weights_dir / weights_name("gesco", other),  # type: ignore[operator]
            SemanticUNet(Gesco.profile_for(other).network).state_dict(),
            {"card": "random"},
        )
        assert Gesco(other).identity()["options"]["guidance"] == 2.5
        assert Gesco(other, {"guidance": 2.0}).identity()["options"]["guidance"] == 2.0


def test_sampler_and_steps_come_from_the_profile_unless_named(context: MethodContext) -> None:
    profile = Gesco.profile_for(context)
    options = Gesco(context).identity()["options"]
    assert (options["sampler"], options["steps"]) == (profile.sampler, profile.sampling_steps)
    options = Gesco(context, {"sampler": "ancestral"}).identity()["options"]
    assert (options["sampler"], options["steps"]) == ("ancestral", profile.sampling_steps)
    paper = Gesco.profile_for(replace(context, profile="paper"))
    assert (paper.sampler, paper.sampling_steps, paper.prediction) == ("ddim", 25, "epsilon")
    assert paper.worth_compiling <= paper.sampling_steps < profile.worth_compiling  # at paper size by default
    published = GescoPublished.profile_for(replace(context, profile="paper"))
    assert (published.sampler, published.sampling_steps) == ("ancestral", 1000)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sampler": "euler"}, "unknown sampler"),
        ({"steps": 1}, "option steps=1 of gesco: steps must be between"),
        ({"steps": 0}, "option steps=0 of gesco: a picture takes at least one step"),
        ({"steps": -3}, "option steps=-3 of gesco"),
        ({"guidance": -1.0}, "option guidance=-1.0 of gesco"),
        ({"precision": "float64"}, "unknown precision 'float64' for gesco"),
        ({"codec": "gif"}, "unknown codec"),
    ],
)
def test_impossible_options_are_named(context: MethodContext, options: dict, said: str) -> None:
    with pytest.raises(MethodError, match=said):
        Gesco(context, options)


def test_missing_weights_name_the_file_and_the_remedy(scene: Scene, tmp_path: Path) -> None:
    context = MethodContext("streets", scene.label_space, 32, 32, weights_dir=tmp_path)
    with pytest.raises(MethodError, match=r"gesco-streets-32x32\.safetensors.*bench train gesco"):
        Gesco(context)


def test_weights_of_another_network_are_refused_with_a_list(context: MethodContext, tmp_path: Path) -> None:
    other = SemanticUNet(UNetConfig(width=8, multipliers=(1, 1), blocks=1, groups=4, head_channels=8, patch=2))
    folder = MethodContext("streets", context.label_space, 64, 128, weights_dir=tmp_path)
    write_weights(tmp_path / weights_name("gesco", folder), other.state_dict(), {})
    with pytest.raises(MethodError, match="do not fit the network: missing"):
        Gesco(folder).prepare()


def test_noise_levels_are_the_papers_with_psnr_100_favoured() -> None:
    drawn = Counter(draw_noise_levels(9000, torch.Generator().manual_seed(0)).tolist())
    assert set(drawn) == set(np.float32(NOISE_LEVELS).tolist())
    assert drawn[0.0] / 9000 == pytest.approx(1 / 3, abs=0.03)
    assert drawn[np.float32(0.9).item()] / 9000 == pytest.approx(1 / 9, abs=0.02)


def test_training_sees_what_the_receiver_would_see(scene: Scene) -> None:
    clean = torch.cat([one_hot(scene.labels, 35), instance_edges(scene.labels, scene.instances)], dim=1)
    sigma = torch.tensor([0.0, 0.6])
    maps = corrupted_maps(clean, sigma, torch.Generator().manual_seed(0), behind_fds=False)
    assert torch.equal(maps[0], clean[0])
    present = clean[1].amax(dim=(1, 2)) > 0
    noise = (maps[1] - clean[1])[present]
    assert noise.std().item() == pytest.approx(0.6, rel=0.02)
    assert torch.corrcoef(noise.flatten(1))[0, 1].abs() < 0.1  # independent noise per channel
    assert not maps[1][~present].any()  # dropped classes stay clean
    behind = corrupted_maps(clean, sigma, torch.Generator().manual_seed(0), behind_fds=True)
    assert torch.equal(behind[0], fast_denoise(clean[:1])[0])


def test_without_an_edge_channel_training_keeps_absent_classes_clean_to_the_last() -> None:
    clean = torch.zeros(1, 3, 8, 8)
    clean[:, 0] = 1
    received = {
        edges: corrupted_maps(clean, torch.ones(1), torch.Generator().manual_seed(0), False, with_edges=edges)[0]
        for edges in (True, False)
    }
    assert [bool(one[-1].any()) for one in received.values()] == [True, False]
    assert torch.equal(received[True][:-1], received[False][:-1])


def test_training_lowers_the_loss_and_exports_loadable_weights(scene: Scene, tmp_path: Path) -> None:
    context = MethodContext("streets", scene.label_space, 64, 128, weights_dir=tmp_path)
    torch.manual_seed(0)
    task = Gesco.training_task(context)
    generator = torch.Generator().manual_seed(0)
    losses = [task.step(scene, generator, step)["denoising"] for step in range(12)]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    write_weights(tmp_path / weights_name("gesco", context), task.export(), {"card": "test"})
    assert Gesco(context, {"steps": 2}).weights_digest()
    assert task.sample(scene, generator).shape == scene.image.shape


def test_the_learning_rate_is_a_function_of_the_step_alone(scene: Scene) -> None:
    task = Gesco.training_task(MethodContext("streets", scene.label_space, 64, 128))
    task.steps = 1000
    peak, constant = task.profile.learning_rate, task.profile.constant
    rates = [task.learning_rate(step) for step in range(1000)]
    assert rates[0] == pytest.approx(peak / task.profile.warmup_steps)
    assert max(rates) == peak == rates[round(1000 * constant) - 1]
    assert rates[-1] == pytest.approx(peak / (1000 * (1 - constant)))
    assert all(later <= earlier for earlier, later in pairwise(rates[task.profile.warmup_steps :]))


def test_the_fdstrain_recipe_switches_to_maps_behind_fds(scene: Scene) -> None:
    context = MethodContext("streets", scene.label_space, 64, 128)
    task = GescoBehindFds.training_task(context)
    raw = Gesco.training_task(context)
    switch = round(BEHIND_FDS_FROM["embedded"] * task.steps)
    for step, same in ((switch - 1, True), (switch, False)):
        maps = [t.conditioning(scene, torch.Generator().manual_seed(5), step) for t in (task, raw)]
        assert torch.equal(*maps) == same


def test_a_sampler_may_be_named_as_it_is_recorded_and_is_one_identity(context: MethodContext):
    now, once = (Gesco(context, {"sampler": name}) for name in ("ddim-eta1-quadratic", "ancestral-quad"))
    assert now.identity() == once.identity()
    assert now.identity()["options"]["sampler"] == "ancestral-quad"
    assert now.sampler is SAMPLERS["ddim-eta1-quadratic"]
