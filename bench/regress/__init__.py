"""Did a change make anything worse? Rerun a baseline's cells and compare them scene by scene."""
