"""Methods: senders and receivers, behind one interface (`bench.api.method.Method`)."""
