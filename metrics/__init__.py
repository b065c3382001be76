"""Metrics: measurements of regenerated scenes, behind one interface (`bench.api.metric.Metric`)."""
