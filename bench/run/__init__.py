"""From names to cells on disk: the plan, one cell, the worker, the sweep."""
