"""Rules over the store, their state, and the messages they send."""
