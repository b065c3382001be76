"""Data sets, embedded and real, behind one interface (`bench.scenes.base.SceneSource`)."""
