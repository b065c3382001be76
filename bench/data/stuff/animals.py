"""Pictograms of animals, of things to play with outdoors, and of food."""

from __future__ import annotations

from .sketch import Sketch, design

_DARK = "1a1b20"


def _four_legs(s: Sketch, colour: str, width: float, top: float, *xs: float) -> None:
    for x in xs:
        s.bar(colour, width, x, top, x, 0.96)


def _bird(s: Sketch, paint: str) -> None:
    s.bar("e8912a", 0.05, 0.5, 0.78, 0.48, 0.98)
    s.bar("e8912a", 0.05, 0.6, 0.78, 0.62, 0.98)
    s.poly(paint, 0.36, 0.5, 0.0, 0.36, 0.04, 0.62, 0.3, 0.7)
    s.oval(paint, 0.5, 0.56, 0.34, 0.25, -15)
    s.disc(paint, 0.78, 0.28, 0.17)
    s.poly("f6a623", 0.9, 0.2, 1.0, 0.3, 0.89, 0.36)
    s.oval("f4f4f0", 0.58, 0.68, 0.2, 0.11, -15)
    s.oval("22405e", 0.42, 0.5, 0.22, 0.12, 20)
    s.disc(_DARK, 0.8, 0.25, 0.04)


def _cat(s: Sketch, paint: str) -> None:
    s.bar(paint, 0.1, 0.76, 0.9, 0.95, 0.7, 0.9, 0.42)
    s.oval(paint, 0.5, 0.74, 0.27, 0.27)
    s.disc(paint, 0.46, 0.34, 0.24)
    s.poly(paint, 0.2, 0.3, 0.2, 0.0, 0.44, 0.16)
    s.poly(paint, 0.5, 0.14, 0.72, 0.0, 0.74, 0.3)
    for x in (0.36, 0.56):
        s.oval("c8f07a", x, 0.33, 0.05, 0.06)
        s.oval(_DARK, x, 0.33, 0.02, 0.05)
    s.disc("f08a9a", 0.46, 0.44, 0.035)
    s.oval("f6efe4", 0.48, 0.78, 0.13, 0.18)


def _dog(s: Sketch, paint: str) -> None:
    s.bar(paint, 0.09, 0.12, 0.5, 0.02, 0.2)
    _four_legs(s, paint, 0.11, 0.6, 0.2, 0.32, 0.62, 0.73)
    s.box(paint, 0.12, 0.4, 0.76, 0.72, 0.1)
    s.disc(paint, 0.76, 0.3, 0.2)
    s.oval(paint, 0.91, 0.37, 0.13, 0.09)
    s.oval("4a2a16", 0.66, 0.34, 0.09, 0.19, 10)
    s.disc(_DARK, 0.98, 0.33, 0.045)
    s.disc(_DARK, 0.8, 0.25, 0.035)
    s.box("d62839", 0.66, 0.46, 0.82, 0.53)


def _horse(s: Sketch, paint: str) -> None:
    s.bar("2a1710", 0.1, 0.1, 0.44, 0.03, 0.75)
    _four_legs(s, paint, 0.085, 0.55, 0.18, 0.28, 0.6, 0.69)
    s.oval(paint, 0.43, 0.5, 0.42, 0.17)
    s.poly(paint, 0.58, 0.56, 0.72, 0.1, 0.86, 0.16, 0.76, 0.58)
    s.poly(paint, 0.72, 0.06, 0.84, 0.06, 1.0, 0.28, 0.93, 0.37, 0.76, 0.26)
    s.poly("2a1710", 0.56, 0.44, 0.7, 0.04, 0.76, 0.06, 0.64, 0.44)
    s.disc(_DARK, 0.84, 0.16, 0.025)


def _sheep(s: Sketch, paint: str) -> None:
    _four_legs(s, "2a2622", 0.09, 0.7, 0.26, 0.38, 0.6, 0.71)
    for x, y in ((0.24, 0.42), (0.42, 0.32), (0.6, 0.36), (0.26, 0.6), (0.46, 0.62), (0.66, 0.58)):
        s.disc(paint, x, y, 0.21)
    s.oval("2a2622", 0.85, 0.4, 0.12, 0.18)
    s.oval("2a2622", 0.74, 0.34, 0.1, 0.05)
    s.disc("ffffff", 0.86, 0.36, 0.035)


def _cow(s: Sketch, paint: str) -> None:
    _four_legs(s, paint, 0.11, 0.6, 0.16, 0.27, 0.58, 0.68)
    s.box(paint, 0.08, 0.26, 0.74, 0.72, 0.08)
    s.box(paint, 0.72, 0.12, 0.95, 0.44, 0.06)
    s.box("f2b8b8", 0.8, 0.34, 1.0, 0.5, 0.04)
    s.oval("f2b8b8", 0.4, 0.74, 0.1, 0.06)
    for x, y, r in ((0.2, 0.38, 0.12), (0.45, 0.5, 0.14), (0.62, 0.34, 0.1)):
        s.oval("20201f", x, y, r * 1.3, r)
    s.bar("e8d9a8", 0.05, 0.76, 0.13, 0.72, 0.0)
    s.bar("e8d9a8", 0.05, 0.9, 0.13, 0.94, 0.0)
    s.disc(_DARK, 0.86, 0.24, 0.03)


def _elephant(s: Sketch, paint: str) -> None:
    _four_legs(s, paint, 0.17, 0.6, 0.16, 0.3, 0.52, 0.64)
    s.oval(paint, 0.4, 0.42, 0.46, 0.31)
    s.disc(paint, 0.74, 0.36, 0.23)
    s.bar(paint, 0.12, 0.86, 0.42, 0.94, 0.7, 0.95, 0.9)
    s.oval("6c7684", 0.63, 0.4, 0.15, 0.22)
    s.bar("fffbe8", 0.05, 0.82, 0.54, 0.9, 0.64)
    s.disc(_DARK, 0.8, 0.28, 0.03)


def _bear(s: Sketch, paint: str) -> None:
    _four_legs(s, paint, 0.18, 0.65, 0.2, 0.38, 0.62, 0.76)
    s.oval(paint, 0.44, 0.54, 0.44, 0.3)
    for x in (0.68, 0.86):
        s.disc(paint, x, 0.12, 0.09)
    s.disc(paint, 0.77, 0.3, 0.23)
    s.oval("c89a6a", 0.86, 0.38, 0.12, 0.09)
    s.disc(_DARK, 0.93, 0.35, 0.045)
    s.disc(_DARK, 0.76, 0.24, 0.03)


def _zebra(s: Sketch, paint: str) -> None:
    _horse(s, paint)
    s.parts = [(points, (248, 248, 246) if n not in (0, len(s.parts) - 2) else (20, 20, 22))
               for n, (points, _) in enumerate(s.parts)]  # fmt: skip
    for n in range(7):
        x = 0.13 + n * 0.085
        s.poly("141416", x, 0.35, x + 0.04, 0.35, x + 0.055, 0.65, x + 0.02, 0.65)
    for n in range(3):
        x, y = 0.66 - n * 0.02, 0.2 + n * 0.12
        s.poly("141416", x + 0.02, y, x + 0.16, y + 0.04, x + 0.14, y + 0.09, x, y + 0.05)
    for x in (0.18, 0.28, 0.6, 0.69):
        for y in (0.7, 0.82):
            s.box("141416", x - 0.034, y, x + 0.034, y + 0.045)


def _giraffe(s: Sketch, paint: str) -> None:
    _four_legs(s, paint, 0.055, 0.6, 0.16, 0.27, 0.52, 0.62)
    s.oval(paint, 0.39, 0.56, 0.25, 0.115)
    s.poly(paint, 0.48, 0.56, 0.74, 0.06, 0.86, 0.1, 0.68, 0.62)
    s.oval(paint, 0.86, 0.1, 0.11, 0.055, 20)
    s.bar("6b3f1a", 0.03, 0.78, 0.07, 0.76, 0.0)
    for x, y in ((0.2, 0.54), (0.33, 0.5), (0.3, 0.62), (0.46, 0.6), (0.5, 0.51), (0.6, 0.5), (0.63, 0.4), (0.69, 0.3),
                 (0.73, 0.2), (0.58, 0.6)):  # fmt: skip
        s.disc("8a4b18", x, y, 0.036)


def _frisbee(s: Sketch, paint: str) -> None:
    s.oval(paint, 0.5, 0.5, 0.98, 0.46)
    s.oval("ffffff", 0.5, 0.44, 0.68, 0.28)
    s.oval(paint, 0.5, 0.44, 0.5, 0.19)


def _skis(s: Sketch, paint: str) -> None:
    for y in (0.24, 0.62):
        s.poly(paint, 0.0, y + 0.24, 0.0, y + 0.08, 0.88, y + 0.04, 1.0, y - 0.16, 1.0, y + 0.02, 0.92, y + 0.22)
        s.box("1a1b20", 0.38, y - 0.06, 0.58, y + 0.08)


def _snowboard(s: Sketch, paint: str) -> None:
    s.box(paint, 0.0, 0.12, 1.0, 0.88, 0.36)
    s.box("f7f052", 0.44, 0.12, 0.56, 0.88)
    for x in (0.28, 0.72):
        s.box(_DARK, x - 0.06, 0.22, x + 0.06, 0.78)


def _sports_ball(s: Sketch, paint: str) -> None:
    s.disc(paint, 0.5, 0.5, 0.49)
    s.disc("16181c", 0.5, 0.5, 0.16)
    for x, y in ((0.5, 0.08), (0.1, 0.38), (0.9, 0.38), (0.25, 0.86), (0.75, 0.86)):
        s.disc("16181c", x, y, 0.1)


def _kite(s: Sketch, paint: str) -> None:
    s.bar("5a4a9a", 0.05, 0.5, 0.76, 0.62, 0.86, 0.45, 0.92, 0.55, 1.0)
    s.poly(paint, 0.5, 0.0, 0.98, 0.32, 0.5, 0.34)
    s.poly("ffd23f", 0.5, 0.0, 0.5, 0.34, 0.02, 0.32)
    s.poly("3bb273", 0.98, 0.32, 0.5, 0.8, 0.5, 0.32)
    s.poly("3d7dd8", 0.02, 0.32, 0.5, 0.32, 0.5, 0.8)


def _baseball_bat(s: Sketch, paint: str) -> None:
    s.poly(paint, 0.02, 0.34, 0.08, 0.02, 0.2, 0.02, 0.96, 0.82, 0.9, 0.9, 0.1, 0.4)
    s.bar("2b2d33", 0.13, 0.74, 0.68, 0.93, 0.88)
    s.disc("2b2d33", 0.94, 0.9, 0.09)


def _baseball_glove(s: Sketch, paint: str) -> None:
    for x, y in ((0.18, 0.34), (0.36, 0.18), (0.56, 0.16), (0.74, 0.24)):
        s.oval(paint, x, y, 0.1, 0.2)
    s.oval(paint, 0.92, 0.56, 0.09, 0.2, 25)
    s.oval(paint, 0.48, 0.62, 0.4, 0.36)
    s.disc("fbfbf4", 0.48, 0.6, 0.19)
    s.bar("d62839", 0.035, 0.4, 0.46, 0.44, 0.6, 0.4, 0.74)


def _skateboard(s: Sketch, paint: str) -> None:
    for x in (0.24, 0.76):
        s.disc("f5e6c8", x, 0.72, 0.22)
        s.disc(_DARK, x, 0.72, 0.1)
    s.poly(paint, 0.0, 0.02, 0.14, 0.2, 0.86, 0.2, 1.0, 0.02, 1.0, 0.2, 0.9, 0.52, 0.1, 0.52, 0.0, 0.2)
    s.box("2ee6a8", 0.2, 0.26, 0.8, 0.38)


def _surfboard(s: Sketch, paint: str) -> None:
    s.oval(paint, 0.5, 0.5, 0.18, 0.5)
    s.box("ffffff", 0.42, 0.06, 0.58, 0.94)
    s.box("f2542d", 0.06, 0.52, 0.94, 0.64)


def _tennis_racket(s: Sketch, paint: str) -> None:
    s.bar("2a2d3a", 0.1, 0.5, 0.62, 0.5, 0.96)
    s.oval(paint, 0.5, 0.32, 0.25, 0.32)
    s.oval("eef7d8", 0.5, 0.32, 0.18, 0.25)
    for n in range(3):
        s.box("8a9a6a", 0.3 + n * 0.18, 0.1, 0.34 + n * 0.18, 0.54)
        s.box("8a9a6a", 0.2, 0.18 + n * 0.12, 0.8, 0.2 + n * 0.12)
    s.disc("d6f23a", 0.86, 0.62, 0.09)


_OUT = "street nature"
_FUR = "2e1c12"
DESIGNS = {
    "bird": design(_bird, 1.2, (0.26, 0.42), "3f8fd0 6a5acd", "nature street", "air"),
    "cat": design(_cat, 0.84, (0.28, 0.46), "e08a3c 5a5a62", "room nature", outline=_FUR),
    "dog": design(_dog, 1.25, (0.32, 0.5), "b07a45 e0c08a", "room nature street", outline=_FUR),
    "horse": design(_horse, 1.25, (0.42, 0.62), "8a4b22 5a2f18", "nature", outline=_FUR),
    "sheep": design(_sheep, 1.3, (0.34, 0.52), "f6f2e6", "nature", outline="4a443c"),
    "cow": design(_cow, 1.4, (0.4, 0.6), "f4f1ea", "nature", outline=_FUR),
    "elephant": design(_elephant, 1.35, (0.44, 0.66), "8a96a6", "nature", outline="3a4250"),
    "bear": design(_bear, 1.15, (0.38, 0.58), "5c3a20", "nature", outline=_FUR),
    "zebra": design(_zebra, 1.25, (0.42, 0.62), "f8f8f6", "nature"),
    "giraffe": design(_giraffe, 0.8, (0.5, 0.72), "f0c25a", "nature", outline=_FUR),
    "frisbee": design(_frisbee, 2.1, (0.28, 0.42), "f0357a ff7a1a", _OUT, "air", 20),
    "skis": design(_skis, 1.6, (0.36, 0.54), "2f6fe0 e0302f", "nature", "flat", 12),
    "snowboard": design(_snowboard, 2.3, (0.36, 0.54), "6a2fb8 1fa8a0", "nature", "flat", 20),
    "sports ball": design(_sports_ball, 1.0, (0.2, 0.34), "f8f8f4", _OUT, "air", 40),
    "kite": design(_kite, 0.85, (0.32, 0.5), "e8353a", _OUT, "up", 25),
    "baseball bat": design(_baseball_bat, 1.0, (0.32, 0.48), "d8a45a", _OUT, "flat", 10),
    "baseball glove": design(_baseball_glove, 0.95, (0.24, 0.38), "a0562a", _OUT, "flat", 15, _FUR),
    "skateboard": design(_skateboard, 2.2, (0.34, 0.52), "3a2f8a c22f6a", "street", "flat", 10),
    "surfboard": design(_surfboard, 0.36, (0.42, 0.62), "2fc4d6 f7d046", "nature", "flat", 20),
    "tennis racket": design(_tennis_racket, 0.56, (0.36, 0.54), "d62839 2456c8", _OUT, "flat", 30),
}
