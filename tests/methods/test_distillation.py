"""Students of few evaluations: what they learn from, that they start as their teacher, and how they are sampled."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from bench.api.errors import MethodError
from bench.api.files import file_digest
from bench.api.method import MethodContext, Received
from bench.api.scenes import Scene
from bench.api.tensors import write_weights
from bench.api.training.batches import moved
from bench.api.weights import weights_name
from bench.data.cityscapes import CITYSCAPES
from bench.train.trainer import train
from methods.common.diffusion.distil import DistillationTask, Lessons
from methods.common.diffusion.few_steps import STEPS, Distillation, FewSteps, few_steps
from methods.common.diffusion.method import DiffusionMethod
from methods.common.diffusion.profile import UNetConfig
from methods.common.diffusion.unet import SemanticUNet
from methods.gesco.method import Gesco, GescoFast
from methods.sdm import Sdm, SdmFast
from tests.methods.tiny_training import run_in, state_of

HEIGHT, WIDTH = 16, 32
SMALL = UNetConfig(
    map_channels=36, width=8, multipliers=(1, 2), blocks=1, attention_factors=(2,), head_channels=8,
    spade_hidden=4, groups=4, patch=2,
)  # fmt: skip


class Scenes:
    """Four scenes of coloured rectangles over maps of a few labels, of 16x32 or larger."""

    def __init__(self, times: int = 1) -> None:
        generator = torch.Generator().manual_seed(0)
        self.labels = torch.randint(0, 30, (4, 2, 4), generator=generator).repeat_interleave(8 * times, 1)
        self.labels = self.labels.repeat_interleave(8 * times, 2)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: list[int]) -> Scene:
        labels = self.labels[indices]
        blank = torch.zeros_like(labels, dtype=torch.int32)
        image = (labels[:, None] / 30.0).expand(-1, 3, -1, -1).contiguous()
        return Scene(image, labels, blank, None, tuple(map(str, indices)), CITYSCAPES)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def context(tmp_path: Path) -> MethodContext:
    """Where random weights of all four lie; those of the teachers say of what network they are."""
    here = MethodContext("streets", CITYSCAPES, HEIGHT, WIDTH, weights_dir=tmp_path / "weights")
    for seed, name in enumerate(("gesco", "sdm", "gesco_fast", "sdm_fast")):
        torch.manual_seed(seed)
        network = SemanticUNet(SMALL)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        card = {"recipe": {"network": asdict(SMALL)}}
        if name == "sdm_fast":
            card["sampling"] = {"sampler": "ancestral-quad", "sampling_steps": 1}
        write_weights(tmp_path / "weights" / weights_name(name, here), network.state_dict(), {"card": card})
    return here


def task_of(context: MethodContext, method: type[FewSteps] = GescoFast, **options: object) -> DistillationTask:
    torch.manual_seed(0)
    task = method.training_task(context, {"batch_size": 2, **options})
    assert isinstance(task, DistillationTask)
    return task


@pytest.mark.parametrize(("method", "teacher"), [(GescoFast, Gesco), (SdmFast, Sdm)])
def test_a_student_starts_as_its_teacher_which_the_recipe_names(
    context: MethodContext, method: type[FewSteps], teacher: type[DiffusionMethod]
) -> None:
    task = task_of(replace(context, weights_dir=None), method, teacher=str(context.weights_dir))
    expected = teacher(context).network.state_dict()
    for network in (task.network, task.average):
        assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items())
    told = json.loads(json.dumps(task.recipe()))["teacher"]
    assert context.weights_dir is not None
    file = context.weights_dir / weights_name(teacher.name, context)
    assert told == {
        "method": teacher.name, "weights_sha256": file_digest(file), "guidance": teacher(context).options["guidance"],
        "sampler": "ancestral-quad", "steps": 10,
    }  # fmt: skip
    by_file = task_of(replace(context, weights_dir=None), method, teacher=str(file))
    assert by_file.recipe() == task.recipe()
    assert (method.variant_of, task.facts()["sampling"]["sampling_steps"]) == (teacher.name, 2)


def test_lessons_are_the_teachers_pictures_of_maps_as_received_and_are_drawn_once(
    context: MethodContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher, scene = Gesco(context), Scenes().batch([0, 1, 2, 3])
    levels = (0.6, 0.0)
    maps, pictures = Lessons(teacher, Distillation(noise_levels=levels), 0.0)(scene)
    sent = teacher.send(scene)
    clean = teacher.received_maps(Received(sent.symbols, sent.side_info))
    noise = (maps - clean).abs().amax(dim=(1, 2, 3))
    assert 0 < int((noise > 0).sum()) < 4  # of both levels, behind FDS
    assert (maps.amax(dim=(2, 3)) > 0).sum() == (clean.amax(dim=(2, 3)) > 0).sum()  # absent classes stay dropped
    assert pictures.std() > 0.1

    def drawn_again(*_: object) -> torch.Tensor:
        raise AssertionError

    monkeypatch.setattr(Gesco, "generate", drawn_again)
    again = Lessons(teacher, Distillation(noise_levels=levels), 0.0)
    for order in ([0, 1, 2, 3], [2, 0]):
        kept = again(Scenes().batch(order))
        assert torch.equal(kept[0], maps[order])
        assert torch.equal(kept[1], pictures[order])
    with pytest.raises(AssertionError):  # a mirrored scene is another one, and so is another mixture of noise
        again(moved(scene, lambda tensor: tensor.flip(-1)))
    with pytest.raises(AssertionError):
        Lessons(teacher, Distillation(noise_levels=(0.6,)), 0.0)(scene)


def test_a_lost_map_is_the_null_label(context: MethodContext) -> None:
    assert not Lessons(Gesco(context), Distillation(), 1.0).maps(Scenes().batch([0, 1])).any()


@pytest.mark.parametrize("objective", ["regression", "adversarial"])
def test_an_interrupted_distillation_ends_where_an_uninterrupted_one_does(
    context: MethodContext, tmp_path: Path, objective: str
) -> None:
    def trained(folder: str, *stops: int) -> DistillationTask:
        for steps in stops:
            task = task_of(context, objective=objective)
            task.steps = 4
            train(task, Scenes(), run_in(tmp_path / folder, steps, checkpoint_every=2), {}, lambda line: None)
        return task

    once, twice = trained("once", 4), trained("twice", 2, 4)
    assert ("discriminator" in once.networks) == (objective == "adversarial")
    one, two = state_of(once), state_of(twice)
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert any(not torch.equal(one[key], value) for key, value in state_of(task_of(context)).items() if key in one)


def test_a_student_comes_nearer_to_its_teacher(context: MethodContext) -> None:
    task = task_of(context, objective="regression", learning_rate=3e-3, warmup_steps=0, batch_size=4, ema_decay=0.5)
    scene = Scenes().batch([0, 1, 2, 3])
    first = task.validation(scene, torch.Generator().manual_seed(1))["perceptual"]
    for step in range(60):
        task.step(scene, torch.Generator().manual_seed(step), step)
    assert task.validation(scene, torch.Generator().manual_seed(1))["perceptual"] < 0.8 * first


@pytest.mark.parametrize("steps", STEPS)
def test_a_picture_takes_as_many_unguided_evaluations_as_it_has_steps(context: MethodContext, steps: int) -> None:
    method = GescoFast(context, {"steps": steps})
    rows: list[int] = []
    method.network.register_forward_hook(lambda network, inputs, output: rows.append(len(output)))
    sent = method.send(Scenes().batch([0, 1]))
    rngs = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    pictures = method.receive(Received(sent.symbols, sent.side_info), rngs)
    assert rows == [2] * steps
    assert pictures.shape == (2, 3, HEIGHT, WIDTH)
    assert few_steps(steps).timesteps[-1] == 999
    assert set(few_steps(steps).timesteps) <= set(few_steps(4).timesteps)


def test_a_student_is_sent_and_received_as_its_teacher_on_a_link_too(context: MethodContext) -> None:
    student, teacher, scene = GescoFast(context), Gesco(context), Scenes().batch([0, 1])
    assert {**student.options, "guidance": 2.0, "sampler": "ancestral-quad", "steps": 10} == teacher.options
    assert all(map(torch.equal, student.send(scene).symbols, teacher.send(scene).symbols))
    link = GescoFast(context, dict(GescoFast.digital_options))
    payloads = link.encode(scene)
    assert payloads == Gesco(context, dict(Gesco.digital_options)).encode(scene)
    rngs = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    assert link.decode([payloads[0], None], rngs).shape == (2, 3, HEIGHT, WIDTH)


def test_the_card_says_how_many_steps_are_usual(context: MethodContext) -> None:
    assert (GescoFast(context).options["steps"], SdmFast(context).options["steps"]) == (2, 1)


def test_a_teacher_of_the_paper_profile_has_a_student_of_it(context: MethodContext, tmp_path: Path) -> None:
    context = replace(context, height=2 * HEIGHT, width=2 * WIDTH)  # of which the paper's network has five halvings
    torch.manual_seed(0)
    network = SemanticUNet(replace(SMALL, patch=1))
    card = {"profile": "paper", "recipe": {"network": asdict(network.config), "prediction": "epsilon"}}
    write_weights(tmp_path / "paper" / weights_name("gesco", context), network.state_dict(), {"card": card})
    task = task_of(replace(context, profile="paper"), teacher=str(tmp_path / "paper"))
    assert (task.network.config.patch, task.profile.prediction, task.profile.edges) == (1, "epsilon", "instances")
    losses = task.step(Scenes(2).batch([0, 1]), torch.Generator().manual_seed(0), 0)
    assert all(map(math.isfinite, losses.values()))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": 3}, "option steps=3 of gesco_fast: it was trained for 1, 2, 4"),
        ({"guidance": 2.0}, "gesco_fast has its guidance in the weights; leave guidance away, or use gesco"),
        ({"sampler": "dpmpp"}, "gesco_fast is sampled with ddim"),
    ],
)
def test_what_was_not_trained_cannot_be_chosen(context: MethodContext, options: dict[str, object], said: str) -> None:
    with pytest.raises(MethodError, match=said):
        GescoFast(context, options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"teacher": "nowhere"}, "there is no teacher at nowhere: name gesco-streets-16x32.safetensors or its folder"),
        ({"width": 64}, "unknown training option 'width' of gesco_fast"),
        ({"noise_levels": "-1"}, "noise_levels are standard deviations"),
        ({"objective": "both"}, "'regression' or 'adversarial'"),
    ],
)
def test_mistakes_of_a_distillation_are_named(context: MethodContext, options: dict[str, object], said: str) -> None:
    with pytest.raises(MethodError, match=said):
        GescoFast.training_task(context, options)
