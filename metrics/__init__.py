"""Metrics: measurements of regenerated scenes, behind one interface (`metrics.base.Metric`)."""
