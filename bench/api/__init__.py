"""The ground floor: what methods, metrics, data sets, channels and trainings promise, and what all of them need."""
