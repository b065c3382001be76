"""`streets` as a data set: ids, splits without end, fingerprints."""

import numpy as np
import pytest

from bench.api.errors import DataError
from bench.data.rendered import DEFAULT_SCENES
from bench.data.streets import Streets


def test_ids_name_split_and_number():
    assert Streets().ids("test", 3) == ["test-000000", "test-000001", "test-000002"]
    assert len(Streets().ids("val")) == DEFAULT_SCENES["val"]


def test_a_split_goes_on_beyond_its_default_size():
    assert len(Streets().ids("val", DEFAULT_SCENES["val"] + 5)) == DEFAULT_SCENES["val"] + 5


def test_a_scene_is_the_same_however_often_it_is_rendered():
    first, again = (Streets((32, 64)).load("test", "test-000012") for _ in range(2))
    for field in ("image", "labels", "instances", "depth"):
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field))
    assert first.image.shape == (32, 64, 3)
    assert first.depth is not None
    assert first.depth.dtype == np.float32


def test_instances_follow_the_convention_of_all_data_sets():
    scene = Streets().load("train", "train-000003")
    present = np.unique(scene.instances)
    assert ((present == 0) | (present >= 1000)).all()
    assert (scene.labels[scene.instances > 0] == scene.instances[scene.instances > 0] // 1000).all()


@pytest.mark.parametrize("scene_id", ["val-000001", "test-1", "test", "test-000001x"])
def test_an_id_of_another_split_is_refused(scene_id):
    with pytest.raises(DataError, match="no scene"):
        Streets().load("test", scene_id)


def test_an_unknown_split_is_answered_with_the_nearest():
    with pytest.raises(DataError, match="did you mean 'train'"):
        Streets().ids("trian")


def test_a_size_that_cannot_be_drawn_is_refused():
    with pytest.raises(DataError, match="size must be"):
        Streets((1, 1)).load("test", "test-000000")


def test_fingerprint_follows_size_split_and_ids():
    def fingerprint(split: str = "test", count: int = 2, size: tuple[int, int] | None = None) -> str:
        source = Streets(size)
        return source.fingerprint(split, source.ids(split, count))

    assert fingerprint() == fingerprint()
    assert len({fingerprint(), fingerprint("val"), fingerprint(count=3), fingerprint(size=(32, 64))}) == 4
