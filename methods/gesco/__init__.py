"""GESCO (Grassucci, Barbarossa, Comminiello, arXiv 2306.04321): semantic diffusion over a noisy channel."""

from methods.gesco.method import Gesco as Gesco
from methods.gesco.method import GescoBehindFds as GescoBehindFds
from methods.gesco.method import GescoFast as GescoFast
from methods.gesco.method import GescoOnLabels as GescoOnLabels
from methods.gesco.method import GescoPublished as GescoPublished
