"""Judges: the networks that metrics ask what a picture shows."""
