"""Data sets, embedded and real, behind one interface (`bench.api.scenes.SceneSource`)."""
