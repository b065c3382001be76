"""Training: one trainer for all methods, and the contract of what a method's training step is."""
