"""Label spaces: their sizes and their best-known entries, which come from the data sets' own tables."""

from bench.data.ade20k import ADE20K
from bench.data.camvid import CAMVID
from bench.data.cityscapes import CITYSCAPES
from bench.data.coco_stuff import COCO_STUFF

LABEL_SPACES = {space.name: space for space in (CITYSCAPES, COCO_STUFF, CAMVID, ADE20K)}


def test_sizes_are_those_of_the_one_hot_maps():
    assert {name: space.size for name, space in LABEL_SPACES.items()} == {
        "cityscapes": 35,
        "coco_stuff": 183,
        "camvid": 12,
        "ade20k": 151,
    }


def test_every_label_has_a_name_of_its_own_and_a_colour():
    for space in LABEL_SPACES.values():
        assert len(set(space.names)) == space.size
        assert len(space.palette) == space.size
        assert all(0 <= part <= 255 for colour in space.palette for part in colour)


def test_coco_colours_tell_all_labels_apart():
    assert len(set(COCO_STUFF.palette)) == COCO_STUFF.size


def test_cityscapes_evaluates_the_nineteen_official_classes():
    assert ",".join(CITYSCAPES.names[i] for i in CITYSCAPES.evaluated) == (
        "road,sidewalk,building,wall,fence,pole,traffic light,traffic sign,vegetation,terrain,sky,person,rider,car,"
        "truck,bus,train,motorcycle,bicycle"
    )
    assert CITYSCAPES.palette[7] == (128, 64, 128)
    assert CITYSCAPES.palette[26] == (0, 0, 142)


def test_coco_ids_are_category_ids_minus_one():
    # category ids from labels.txt of nightrome/cocostuff
    known = {1: "person", 13: "stop sign", 72: "tv", 90: "toothbrush", 92: "banner", 149: "road", 157: "sky-other"}
    assert {category: COCO_STUFF.names[category - 1] for category in known} == known
    assert COCO_STUFF.names[181] == "wood"
    assert COCO_STUFF.names[182] == "unknown"
    assert COCO_STUFF.unknown == 182
    assert 182 not in COCO_STUFF.evaluated


def test_camvid_leaves_unlabelled_pixels_out():
    assert CAMVID.names[CAMVID.unknown] == "unlabelled"
    assert CAMVID.evaluated == tuple(range(11))
