"""Pictograms of people, vehicles, street furniture and what people carry."""

from __future__ import annotations

from .sketch import Sketch, design

_GLASS, _DARK, _STEEL = "a8d8f0", "1a1b20", "9aa4ae"


def _person(s: Sketch, paint: str) -> None:
    """`paint` holds two colours: the shirt's and the skin's."""
    paint, skin = paint[:6], paint[6:]
    for x, foot in ((0.38, 0.24), (0.62, 0.78)):
        s.bar("27345e", 0.11, x, 0.55, foot, 0.94)
        s.bar(_DARK, 0.07, foot - 0.05, 0.97, foot + 0.12, 0.97)
    for x, hand in ((0.28, 0.08), (0.72, 0.92)):
        s.bar(paint, 0.085, x, 0.27, hand, 0.5)
        s.disc(skin, hand, 0.53, 0.045)
    s.poly(paint, 0.2, 0.23, 0.8, 0.23, 0.72, 0.6, 0.28, 0.6)
    s.disc(skin, 0.5, 0.115, 0.105)
    s.pie("3b2415", 0.5, 0.105, 0.115, 180, 360)


def _bicycle(s: Sketch, paint: str) -> None:
    for x in (0.23, 0.77):
        s.disc(_DARK, x, 0.66, 0.33)
        s.disc("dfe4e6", x, 0.66, 0.24)
        s.bar("8c949c", 0.03, x - 0.14, 0.66, x + 0.14, 0.66)
        s.bar("8c949c", 0.03, x, 0.44, x, 0.88)
    s.bar(paint, 0.08, 0.23, 0.66, 0.36, 0.28, 0.66, 0.28, 0.77, 0.66)
    s.bar(paint, 0.08, 0.36, 0.28, 0.5, 0.68, 0.66, 0.28)
    s.bar(_DARK, 0.09, 0.28, 0.16, 0.44, 0.16)
    s.bar(_DARK, 0.07, 0.66, 0.28, 0.64, 0.08, 0.74, 0.06)


def _car(s: Sketch, paint: str) -> None:
    s.poly(paint, 0.22, 0.42, 0.33, 0.1, 0.68, 0.1, 0.82, 0.42)
    s.poly(_GLASS, 0.28, 0.4, 0.36, 0.17, 0.49, 0.17, 0.49, 0.4)
    s.poly(_GLASS, 0.53, 0.4, 0.53, 0.17, 0.66, 0.17, 0.75, 0.4)
    s.box(paint, 0.01, 0.4, 0.99, 0.8, 0.08)
    s.box("ffe88a", 0.92, 0.48, 0.99, 0.6)
    s.box("c2182b", 0.01, 0.48, 0.06, 0.6)
    for x in (0.23, 0.77):
        s.wheel(x, 0.8, 0.2)


def _motorcycle(s: Sketch, paint: str) -> None:
    for x in (0.19, 0.81):
        s.wheel(x, 0.7, 0.28, "d0d4d8")
    s.bar(_STEEL, 0.09, 0.19, 0.7, 0.45, 0.68, 0.66, 0.3, 0.81, 0.7)
    s.box("3a3c42", 0.36, 0.48, 0.62, 0.78)
    s.oval(paint, 0.52, 0.38, 0.25, 0.14)
    s.poly(_DARK, 0.08, 0.32, 0.42, 0.38, 0.38, 0.5, 0.14, 0.44)
    s.bar(_DARK, 0.08, 0.66, 0.3, 0.6, 0.06, 0.5, 0.06)
    s.disc("fff0a8", 0.72, 0.26, 0.08)


def _airplane(s: Sketch, paint: str) -> None:
    s.poly(paint, 0.03, 0.06, 0.13, 0.06, 0.24, 0.48, 0.08, 0.48)
    s.poly("8a97a8", 0.42, 0.46, 0.55, 0.46, 0.46, 0.03, 0.39, 0.03)
    s.poly("f2f5f8", 0.02, 0.42, 0.84, 0.38, 0.98, 0.55, 0.84, 0.68, 0.12, 0.62)
    s.poly(paint, 0.08, 0.56, 0.96, 0.56, 0.84, 0.68, 0.12, 0.62)
    s.poly("8a97a8", 0.4, 0.58, 0.6, 0.58, 0.38, 0.97, 0.28, 0.97)
    for n in range(6):
        s.box("3d5a80", 0.25 + n * 0.09, 0.45, 0.29 + n * 0.09, 0.52)
    s.poly("3d5a80", 0.85, 0.44, 0.91, 0.5, 0.84, 0.51)


def _bus(s: Sketch, paint: str) -> None:
    s.box(paint, 0.01, 0.05, 0.99, 0.85, 0.07)
    for n in range(4):
        s.box(_GLASS, 0.05 + n * 0.185, 0.16, 0.19 + n * 0.185, 0.45)
    s.box(_GLASS, 0.81, 0.16, 0.99, 0.52)
    s.box("ffffff", 0.01, 0.56, 0.99, 0.64)
    for x in (0.22, 0.76):
        s.wheel(x, 0.85, 0.14)


def _train(s: Sketch, paint: str) -> None:
    s.poly(paint, 0.01, 0.14, 0.78, 0.14, 0.99, 0.6, 0.99, 0.8, 0.01, 0.8)
    s.box("5b6470", 0.01, 0.08, 0.74, 0.15)
    s.box("20242c", 0.01, 0.26, 0.72, 0.48)
    for n in range(4):
        s.box("ffe9a0", 0.04 + n * 0.17, 0.29, 0.15 + n * 0.17, 0.45)
    s.poly(_GLASS, 0.76, 0.24, 0.81, 0.24, 0.93, 0.5, 0.76, 0.5)
    s.box("f4d03a", 0.01, 0.6, 0.99, 0.68)
    for n in range(6):
        s.disc(_DARK, 0.1 + n * 0.16, 0.85, 0.1)
    s.box("7a7f88", 0.0, 0.93, 1.0, 0.98)


def _truck(s: Sketch, paint: str) -> None:
    s.box("eceff2", 0.01, 0.05, 0.63, 0.74)
    for n in range(3):
        s.box("b9c2cc", 0.13 + n * 0.17, 0.09, 0.16 + n * 0.17, 0.7)
    s.poly(paint, 0.66, 0.22, 0.86, 0.22, 0.98, 0.5, 0.98, 0.78, 0.66, 0.78)
    s.poly(_GLASS, 0.72, 0.3, 0.85, 0.3, 0.92, 0.5, 0.72, 0.5)
    s.box("3a3e46", 0.01, 0.74, 0.98, 0.82)
    for x in (0.14, 0.34, 0.82):
        s.wheel(x, 0.84, 0.14)


def _boat(s: Sketch, paint: str) -> None:
    s.box("6b4a2c", 0.47, 0.02, 0.51, 0.7)
    s.poly("fffdf4", 0.45, 0.05, 0.45, 0.62, 0.1, 0.62)
    s.poly("f0d9a8", 0.54, 0.12, 0.54, 0.62, 0.86, 0.62)
    s.poly(paint, 0.0, 0.66, 1.0, 0.66, 0.84, 0.98, 0.16, 0.98)
    s.poly("ffffff", 0.02, 0.7, 0.98, 0.7, 0.95, 0.77, 0.05, 0.77)


def _traffic_light(s: Sketch, paint: str) -> None:
    s.box("5a6068", 0.42, 0.6, 0.58, 1.0)
    s.box(paint, 0.12, 0.0, 0.88, 0.68, 0.05)
    for y, lamp in ((0.12, "ff3b30"), (0.34, "ffc914"), (0.56, "34d158")):
        s.disc(lamp, 0.5, y, 0.09)


def _fire_hydrant(s: Sketch, paint: str) -> None:
    s.box(paint, 0.12, 0.86, 0.88, 1.0)
    s.box(paint, 0.26, 0.25, 0.74, 0.88)
    s.box("f2c53d", 0.02, 0.42, 0.98, 0.6)
    s.disc("e8e8e8", 0.5, 0.51, 0.11)
    s.pie(paint, 0.5, 0.27, 0.22, 180, 360)
    s.box("f2c53d", 0.42, 0.0, 0.58, 0.08)
    s.box("f2c53d", 0.18, 0.24, 0.82, 0.31)


def _stop_sign(s: Sketch, paint: str) -> None:
    s.box("8c9298", 0.44, 0.5, 0.56, 1.0)
    for colour, r in (("ffffff", 0.27), (paint, 0.23)):
        a, b = r / 0.56, r * 0.414
        s.poly(colour, 0.5 - a * 0.414, 0.27 - r, 0.5 + a * 0.414, 0.27 - r, 0.5 + a, 0.27 - b, 0.5 + a, 0.27 + b,
               0.5 + a * 0.414, 0.27 + r, 0.5 - a * 0.414, 0.27 + r, 0.5 - a, 0.27 + b, 0.5 - a, 0.27 - b)  # fmt: skip
    s.box("ffffff", 0.2, 0.22, 0.8, 0.32)


def _parking_meter(s: Sketch, paint: str) -> None:
    s.box("6a7078", 0.42, 0.4, 0.58, 1.0)
    s.box(paint, 0.14, 0.12, 0.86, 0.52)
    s.pie(paint, 0.5, 0.15, 0.145, 180, 360)
    s.box("d8f0d0", 0.26, 0.1, 0.74, 0.26)
    s.box("f2c53d", 0.4, 0.34, 0.6, 0.44)


def _bench(s: Sketch, paint: str) -> None:
    for x in (0.12, 0.88):
        s.box("3a3e44", x - 0.03, 0.1, x + 0.03, 1.0)
    for y in (0.06, 0.26, 0.56):
        s.box(paint, 0.0, y, 1.0, y + 0.15)


def _backpack(s: Sketch, paint: str) -> None:
    s.bar("2a2a30", 0.07, 0.36, 0.14, 0.4, 0.03, 0.6, 0.03, 0.64, 0.14)
    s.box(paint, 0.1, 0.1, 0.9, 0.98, 0.14)
    s.box("f5c23e", 0.22, 0.56, 0.78, 0.88, 0.05)
    s.box("2a2a30", 0.12, 0.4, 0.88, 0.46)


def _umbrella(s: Sketch, paint: str) -> None:
    s.bar("4a3020", 0.06, 0.5, 0.4, 0.5, 0.9, 0.42, 0.97, 0.36, 0.9)
    for n in range(5):
        s.pie(paint if n % 2 == 0 else "fff6e0", 0.5, 0.54, 0.54, 180 + n * 36, 216 + n * 36)


def _handbag(s: Sketch, paint: str) -> None:
    s.bar("5a2a1a", 0.07, 0.26, 0.45, 0.32, 0.08, 0.68, 0.08, 0.74, 0.45)
    s.poly(paint, 0.12, 0.4, 0.88, 0.4, 1.0, 0.98, 0.0, 0.98)
    s.box("f6d365", 0.42, 0.46, 0.58, 0.62)


def _tie(s: Sketch, paint: str) -> None:
    s.poly(paint, 0.22, 0.0, 0.78, 0.0, 0.66, 0.18, 0.34, 0.18)
    s.poly(paint, 0.36, 0.2, 0.64, 0.2, 0.96, 0.8, 0.5, 1.0, 0.04, 0.8)
    for y in (0.42, 0.58, 0.74):
        s.poly("f6e27a", 0.14, y + 0.06, 0.82, y - 0.06, 0.86, y, 0.12, y + 0.12)


def _suitcase(s: Sketch, paint: str) -> None:
    s.bar("2b2d33", 0.06, 0.36, 0.2, 0.36, 0.03, 0.64, 0.03, 0.64, 0.2)
    s.box(paint, 0.04, 0.18, 0.96, 0.94, 0.06)
    for x in (0.27, 0.5, 0.73):
        s.box("2b2d33", x - 0.03, 0.24, x + 0.03, 0.88)
    for x in (0.16, 0.84):
        s.disc(_DARK, x, 0.95, 0.05)


_SHIRTS = ("e03e3e", "2e8fd0", "f2b632", "f4f4f4", "7a4ab0")
_SKINS = ("edb48c", "c98a5e", "8a5636")
_PEOPLE = " ".join(shirt + skin for shirt in _SHIRTS for skin in _SKINS)
_OUT, _ANY = "street nature", "street nature room"
DESIGNS = {
    "person": design(_person, 0.46, (0.34, 0.6), _PEOPLE, _ANY),
    "bicycle": design(_bicycle, 1.55, (0.38, 0.56), "d62828 1f7a5c", _OUT),
    "car": design(_car, 2.05, (0.4, 0.62), "d62839 2456a8 e8e8ec", "street"),
    "motorcycle": design(_motorcycle, 1.5, (0.36, 0.54), "d9481c 1d58a8", "street"),
    "airplane": design(_airplane, 2.1, (0.42, 0.62), "d62839 2468b8", _OUT, "up", 15),
    "bus": design(_bus, 1.9, (0.46, 0.68), "f2b01e 2f9e62", "street"),
    "train": design(_train, 2.2, (0.5, 0.75), "2b4f9e 8f2436", _OUT),
    "truck": design(_truck, 1.85, (0.44, 0.64), "1f7fb8 c9431f", "street"),
    "boat": design(_boat, 1.25, (0.34, 0.55), "b03a2e 1f4f8f", "nature"),
    "traffic light": design(_traffic_light, 0.42, (0.36, 0.52), "2a2d33", "street"),
    "fire hydrant": design(_fire_hydrant, 0.68, (0.26, 0.42), "d8232f", "street"),
    "stop sign": design(_stop_sign, 0.56, (0.38, 0.54), "cc1f2d", "street"),
    "parking meter": design(_parking_meter, 0.4, (0.36, 0.52), "44566c", "street"),
    "bench": design(_bench, 1.7, (0.36, 0.54), "a8652e", _OUT),
    "backpack": design(_backpack, 0.82, (0.24, 0.4), "2f6fb5 3c8a4a", _ANY, turn=12),
    "umbrella": design(_umbrella, 1.08, (0.32, 0.5), "8e44ad d62839", _ANY, turn=14),
    "handbag": design(_handbag, 1.05, (0.24, 0.38), "b5533c 8a2f5c", _ANY, turn=8),
    "tie": design(_tie, 0.36, (0.3, 0.46), "1f3f8f 8f1f2f", "room table", "flat", 20),
    "suitcase": design(_suitcase, 0.86, (0.28, 0.44), "d98c2b 46a0a8", _ANY, turn=6),
}
