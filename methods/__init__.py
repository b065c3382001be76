"""Methods: senders and receivers, behind one interface (`methods.base.Method`)."""
