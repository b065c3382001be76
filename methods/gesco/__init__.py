"""GESCO (Grassucci, Barbarossa, Comminiello, arXiv 2306.04321): semantic diffusion over a noisy channel."""

from methods.gesco.method import Gesco, GescoBehindFds, GescoOnLabels, GescoPublished

__all__ = ["Gesco", "GescoBehindFds", "GescoOnLabels", "GescoPublished"]
