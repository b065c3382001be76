"""SPADE: semantic image synthesis with spatially-adaptive normalisation."""

from methods.spade.method import Spade as Spade
