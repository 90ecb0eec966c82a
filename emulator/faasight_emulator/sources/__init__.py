"""Event sources: what is pushed to functions (topics, buckets, buses) and what is polled for them (queues, streams)."""
