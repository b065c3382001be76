"""Four kinds of places, and what stuff each is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Stuff by its part in a picture, as names of classes; a name that stands twice is twice as likely.

    `back` fills the picture, `middle` stands before it down to the ground, `ground` lies below. Of the patches,
    `standing` has its foot on the ground, `lying` is on it and `hanging` is in the upper half. `share` is the place's
    share of all scenes, `middle_chance` and `top_chance` how often there is a middle, and a strip of `top` above.
    """

    share: float
    back: tuple[str, ...]
    middle: tuple[str, ...]
    ground: tuple[str, ...]
    standing: tuple[str, ...]
    lying: tuple[str, ...]
    hanging: tuple[str, ...] = ()
    top: tuple[str, ...] = ()
    middle_chance: float = 0.0
    top_chance: float = 0.0
    horizon: tuple[float, float] = (0.42, 0.66)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_SKY = _names("clouds sky-other fog")
_WALLS = _names("wall-brick wall-concrete wall-other wall-panel wall-stone wall-tile wall-wood")

PLACES: dict[str, Place] = {
    "street": Place(
        share=0.25,
        back=_SKY,
        middle=_names("building-other house skyscraper roof bridge wall-brick wall-stone structural-other tree"),
        ground=_names("road road pavement platform railroad gravel ground-other stairs"),
        standing=_names("fence railing cage net structural-other banner bush tent"),
        lying=_names("flower bush pavement gravel leaves"),
        middle_chance=0.85,
    ),
    "nature": Place(
        share=0.27,
        back=_SKY,
        middle=_names("hill mountain tree tree rock bush branch leaves tent"),
        ground=_names(
            "grass sand snow dirt mud moss straw playingfield sea river water-other waterdrops ground-other stone"
        ),
        standing=_names("branch rock fence net cage railing plant-other wood"),
        lying=_names("flower plant-other stone straw moss mud leaves wood"),
        middle_chance=0.8,
    ),
    "room": Place(
        share=0.27,
        back=_WALLS,
        middle=_names("curtain window-blind cabinet shelf stairs mirror-stuff furniture-other"),
        ground=_names("carpet floor-marble floor-other floor-stone floor-tile floor-wood"),
        standing=_names("cabinet cupboard door-stuff shelf furniture-other desk-stuff counter table door-stuff"),
        lying=_names("rug mat pillow blanket clothes textile-other rug pillow"),
        hanging=_names("window-other window-blind mirror-stuff light light curtain towel clothes banner"),
        top=_names("ceiling-other ceiling-tile light"),
        middle_chance=0.2,
        top_chance=0.35,
        horizon=(0.5, 0.72),
    ),
    "table": Place(
        share=0.21,
        back=(*_WALLS, *_names("window-other cupboard plastic solid-other metal")),
        middle=_names("solid-other metal"),
        ground=_names("table counter desk-stuff cloth paper cardboard plastic metal wood solid-other mat"),
        standing=_names("cardboard plastic towel blanket cloth"),
        lying=_names(
            "food-other fruit salad vegetable napkin napkin paper cloth food-other fruit salad vegetable towel "
            "textile-other"
        ),
        horizon=(0.16, 0.4),
    ),
}

#: How the upper border of a class runs; all others roll.
RIDGES: dict[str, str] = {
    **dict.fromkeys(_names("building-other skyscraper bridge structural-other tent house"), "skyline"),
    **dict.fromkeys(_names("mountain roof"), "peaks"),
    **dict.fromkeys(
        _names(
            "road pavement platform railroad playingfield sea stairs carpet floor-marble floor-other floor-stone "
            "floor-tile floor-wood table counter desk-stuff metal paper cardboard plastic wall-brick wall-stone wood "
            "cabinet shelf curtain window-blind mirror-stuff"
        ),
        "level",
    ),
}
