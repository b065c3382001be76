"""SMIS: semantically multi-modal image synthesis with a group-decreasing network."""

from methods.smis.method import Smis as Smis
