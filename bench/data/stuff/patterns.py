"""Texture families: what a ground looks like, as a tone for each point.

Every pattern takes coordinates u (across) and v (down) in units of the texture's period, 2-D float32, and a seed, and
gives tones in 0..2: 0, 1 and 2 are the ground's three colours, values between them mixtures.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .chance import Floats, hashed, mosaic, noise, part, staggered

Pattern = Callable[[Floats, Floats, int], Floats]


def stripes(u: Floats, v: Floats, seed: int) -> Floats:
    """Upright stripes of two tones."""
    return 1.0 * (part(u) < 0.5)


def bands(u: Floats, v: Floats, seed: int) -> Floats:
    """Upright bands of three tones."""
    return np.floor(part(u) * 3)


def lines(u: Floats, v: Floats, seed: int) -> Floats:
    """Thin lines across, as on ruled paper."""
    return 1.0 * (part(v) < 0.26)


def plaid(u: Floats, v: Floats, seed: int) -> Floats:
    """Stripes both ways, that add up where they cross."""
    return 1.0 * (part(u) < 0.45) + (part(v) < 0.45)


def checks(u: Floats, v: Floats, seed: int) -> Floats:
    """A chessboard."""
    return (np.floor(u) + np.floor(v)) % 2


def tiles(u: Floats, v: Floats, seed: int) -> Floats:
    """Square tiles, each of its own tone, with bright joints."""
    joint = (part(u) < 0.16) | (part(v) < 0.16)
    return np.where(joint, 2, 0.8 * hashed(u, v, seed))


def perforated(u: Floats, v: Floats, seed: int) -> Floats:
    """Square panels with small holes."""
    joint = (part(u) < 0.1) | (part(v) < 0.1)
    hole = ((part(u * 4) - 0.5) ** 2 + (part(v * 4) - 0.5) ** 2) < 0.06
    return np.where(joint, 2, 1.0 * hole)


def bricks(u: Floats, v: Floats, seed: int) -> Floats:
    """Bricks in staggered rows, each of its own tone, with bright joints."""
    v = v * 2
    _, _, shifted = staggered(u, v)
    joint = (part(shifted) < 0.12) | (part(v) < 0.22)
    return np.where(joint, 2, hashed(shifted, v, seed))


def planks(u: Floats, v: Floats, seed: int) -> Floats:
    """Long boards with grain, side by side."""
    along = u / 3.5 + 0.37 * np.floor(v)
    joint = (part(along) < 0.04) | (part(v) < 0.14)
    return np.where(joint, 2, 0.7 * hashed(along, v, seed) + 0.3 * (noise(u * 0.3, v * 2, seed) > 0))


def cells(u: Floats, v: Floats, seed: int) -> Floats:
    """Stones with joints."""
    value, border = mosaic(u, v, seed)
    return np.where(border < 0.16, 2, value)


def facets(u: Floats, v: Floats, seed: int) -> Floats:
    """Cells of irregular shape, each of its own tone."""
    return 2 * mosaic(u, v, seed)[0]


def confetti(u: Floats, v: Floats, seed: int) -> Floats:
    """Cells of irregular shape in three tones."""
    result: Floats = np.floor(mosaic(u, v, seed)[0] * 2.999)
    return result


def twigs(u: Floats, v: Floats, seed: int) -> Floats:
    """Borders of irregular cells, and some cells filled."""
    value, border = mosaic(u, v, seed)
    return np.where(border < 0.2, 1, 2.0 * (value > 0.75))


def dots(u: Floats, v: Floats, seed: int) -> Floats:
    """Discs in staggered rows."""
    x, y, _ = staggered(u, v)
    return 1.0 * (x * x + y * y < 0.085)


def drops(u: Floats, v: Floats, seed: int) -> Floats:
    """Beads with a bright spot."""
    x, y, _ = staggered(u, v)
    return np.where((x + 0.1) ** 2 + (y + 0.12) ** 2 < 0.018, 2, 1.0 * (x * x + y * y < 0.11))


def balls(u: Floats, v: Floats, seed: int) -> Floats:
    """Balls of two colours on the third."""
    x, y, shifted = staggered(u, v)
    return np.where(x * x + y * y < 0.19, 1.0 * (hashed(shifted, v, seed) < 0.5), 2)


def blossoms(u: Floats, v: Floats, seed: int) -> Floats:
    """Petals (1) with a heart (2)."""
    x, y, _ = staggered(u, v)
    r2 = x * x + y * y
    return np.where(r2 < 0.022, 2, 1.0 * (r2 < 0.14))


def ripples(u: Floats, v: Floats, seed: int) -> Floats:
    """Rings round the centres of large cells."""
    x, y, _ = staggered(u, v)
    result: Floats = 1 + np.cos(np.hypot(x, y) * 22)
    return result


def scales(u: Floats, v: Floats, seed: int) -> Floats:
    """Rows of round tiles, each with a dark lower rim."""
    x, y, shifted = staggered(u, v * 1.6)
    rim = np.abs(y + 0.5 - np.sqrt(np.maximum(0.0, 0.25 - x * x)) * 1.7)
    return np.where(rim < 0.17, 2, 0.8 * hashed(shifted, v * 1.6, seed))


def waves(u: Floats, v: Floats, seed: int) -> Floats:
    """Wavy stripes of two tones."""
    return 1.0 * (part(v + 0.22 * np.sin(u * 4.4)) < 0.5)


def crests(u: Floats, v: Floats, seed: int) -> Floats:
    """Waves with a bright crest that comes and goes."""
    phase = part(v + 0.16 * np.sin(u * 3.6) + 0.1 * np.sin(u * 1.3 + v))
    return np.where((phase < 0.2) & (np.sin(u * 2.1 + np.floor(v) * 2.4) > -0.1), 2, 1.0 * (phase < 0.55))


def folds(u: Floats, v: Floats, seed: int) -> Floats:
    """Soft upright folds, as of cloth."""
    result: Floats = 1 + np.sin((u + 0.12 * np.sin(v * 1.7)) * 6.2832)
    return result


def zigzag(u: Floats, v: Floats, seed: int) -> Floats:
    """Zigzag bands of three tones."""
    return np.floor(part(v + 1.1 * np.abs(part(u) - 0.5)) * 3)


def peaks(u: Floats, v: Floats, seed: int) -> Floats:
    """Triangles with a bright side, a dark side and a bright top."""
    x, y, _ = staggered(u, v)
    inside = 2 * np.abs(x) < y + 0.5
    return np.where(inside & (y < -0.12), 2, 1.0 * ((x > 0) ^ ~inside))


def truss(u: Floats, v: Floats, seed: int) -> Floats:
    """Beams: two chords a period and diagonals between them."""
    diagonal = np.abs(part(v) - 2 * np.abs(part(u) - 0.5)) < 0.16
    return np.where(part(v + 0.07) < 0.15, 2, 1.0 * diagonal)


def lattice(u: Floats, v: Floats, seed: int) -> Floats:
    """Crossing bars."""
    return 1.0 * ((part(u) < 0.24) | (part(v) < 0.24))


def quilt(u: Floats, v: Floats, seed: int) -> Floats:
    """Squares with seams, and a button in each."""
    x, y = part(u) - 0.5, part(v) - 0.5
    seam = np.maximum(np.abs(x), np.abs(y)) > 0.4
    return np.where(x * x + y * y < 0.04, 2, 1.0 * seam)


def pickets(u: Floats, v: Floats, seed: int) -> Floats:
    """Broad upright boards with gaps, and a rail now and then."""
    return np.where(part(u) < 0.55, 1, 2.0 * (part(v * 0.4) < 0.22))


def bars(u: Floats, v: Floats, seed: int) -> Floats:
    """Thin upright bars, and thicker rails across."""
    return np.where(part(v * 0.33) < 0.12, 2, 1.0 * (part(u) < 0.3))


def weave(u: Floats, v: Floats, seed: int) -> Floats:
    """Threads that go over and under each other."""
    over = (np.floor(u) + np.floor(v)) % 2 == 0
    thread = np.where(over, part(v * 2), part(u * 2))
    return np.where(thread < 0.22, 2, 1.0 * over)


def crosses(u: Floats, v: Floats, seed: int) -> Floats:
    """Crosses in staggered rows."""
    x, y, _ = staggered(u, v)
    x, y = np.abs(x), np.abs(y)
    return 1.0 * ((np.minimum(x, y) < 0.12) & (np.maximum(x, y) < 0.4))


def blotches(u: Floats, v: Floats, seed: int) -> Floats:
    """Noise of strong contrast."""
    result: Floats = np.clip(1 + 1.7 * noise(u, v, seed), 0, 2)
    return result


def veil(u: Floats, v: Floats, seed: int) -> Floats:
    """Soft, wide noise."""
    return 1 + noise(u * 0.4, v * 0.4, seed)


def clumps(u: Floats, v: Floats, seed: int) -> Floats:
    """Noise in three steps."""
    height = noise(u, v, seed) + 0.35 * noise(u * 3, v * 3, seed + 5)
    return 1.0 * (height > -0.12) + (height > 0.22)


def clouds(u: Floats, v: Floats, seed: int) -> Floats:
    """Wide clouds with soft borders."""
    height = noise(u * 0.7, v * 1.2, seed) + 0.3 * noise(u * 2, v * 2.6, seed + 5)
    return np.clip(1 + 5 * (height - 0.05), 0, 2)


def speckles(u: Floats, v: Floats, seed: int) -> Floats:
    """Every cell dark, grey or bright by chance."""
    value = hashed(u, v, seed)
    return 1.0 * (value > 0.6) + (value > 0.85)


def blades(u: Floats, v: Floats, seed: int) -> Floats:
    """Upright blades: noise stretched along v."""
    result: Floats = np.clip(1 + 2.2 * noise(u * 2.4, v * 0.35, seed), 0, 2)
    return result


def grain(u: Floats, v: Floats, seed: int) -> Floats:
    """Wood: wavy lines along u."""
    return 1 + np.sin(6.2832 * v + 4 * noise(u * 0.25, v * 0.5, seed))


def rings(u: Floats, v: Floats, seed: int) -> Floats:
    """Sawn logs: discs with year rings on the third colour."""
    x, y, _ = staggered(u, v)
    r = np.hypot(x, y)
    return np.where(r > 0.46, 2, 1.0 * (part(r * 6) < 0.5))


def marble(u: Floats, v: Floats, seed: int) -> Floats:
    """Thin bright veins."""
    vein = np.abs(noise(u * 0.5, v * 0.5, seed))
    return np.clip(1.6 - vein * 9, 0, 2)


def gradient(u: Floats, v: Floats, seed: int) -> Floats:
    """From dark at the top of the first period to bright."""
    return np.clip(2 * v, 0, 2)


def glow(u: Floats, v: Floats, seed: int) -> Floats:
    """A dark spot in each period, brighter outwards."""
    x, y = part(u) - 0.5, part(v) - 0.5
    result: Floats = np.clip(4 * np.hypot(x, y), 0, 2)
    return result


def windows(u: Floats, v: Floats, seed: int) -> Floats:
    """A wall (0) with panes, dark (1) or lit (2)."""
    x, y = np.abs(part(u) - 0.5), np.abs(part(v) - 0.5)
    return np.where((x < 0.27) & (y < 0.32), 1 + (hashed(u, v, seed) < 0.35), 0)


def panels(u: Floats, v: Floats, seed: int) -> Floats:
    """Doors of a cabinet: a frame (1) round each field, and a knob (2)."""
    x, y = part(u) - 0.5, part(v) - 0.5
    frame = np.maximum(np.abs(x), np.abs(y))
    return np.where((x - 0.24) ** 2 + y * y < 0.009, 2, 1.0 * ((frame > 0.43) | ((frame > 0.3) & (frame < 0.35))))


def shelves(u: Floats, v: Floats, seed: int) -> Floats:
    """Boards (0) with upright things of two colours between them."""
    value = hashed(u * 4, v, seed)
    return np.where(part(v) < 0.2, 0, np.where(part(v) > 0.2 + 0.35 * value, 1.0 + (value > 0.5), 0.35))


def steps(u: Floats, v: Floats, seed: int) -> Floats:
    """Stairs: a bright edge, a tread and a riser."""
    phase = part(v)
    return np.where(phase < 0.16, 2, 1.0 * (phase < 0.55))


def slats(u: Floats, v: Floats, seed: int) -> Floats:
    """Slats across, each brighter downwards."""
    return 2 * part(v) ** 1.5


def rails(u: Floats, v: Floats, seed: int) -> Floats:
    """A railway track: sleepers (1) and two rails (2) on ballast."""
    rail = np.minimum(np.abs(part(u) - 0.2), np.abs(part(u) - 0.8)) < 0.06
    sleeper = (part(v * 2.2) < 0.42) & (np.abs(part(u) - 0.5) < 0.44)
    return np.where(rail, 2, 1.0 * sleeper)


def dashes(u: Floats, v: Floats, seed: int) -> Floats:
    """Asphalt with broken lane markings."""
    mark = (np.abs(part(u) - 0.5) < 0.045) & (part(v * 1.3) < 0.55)
    return np.where(mark, 2, np.clip(0.5 + 0.7 * noise(u * 2, v * 2, seed), 0, 1))


PATTERNS: dict[str, Pattern] = {
    pattern.__name__: pattern
    for pattern in (
        stripes, bands, lines, plaid, checks, tiles, perforated, bricks, planks, cells, facets, confetti, twigs, dots,
        drops, balls, blossoms, ripples, scales, waves, crests, folds, zigzag, peaks, truss, lattice, quilt, pickets,
        bars, weave, crosses, blotches, veil, clumps, clouds, speckles, blades, grain, rings, marble, gradient, glow,
        windows, panels, shelves, steps, slats, rails, dashes,
    )
}  # fmt: skip
"""Every texture family by name."""
