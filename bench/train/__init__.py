"""The trainer, and what `bench train` does with it."""
