"""Channels between sender and receiver, one file each."""
