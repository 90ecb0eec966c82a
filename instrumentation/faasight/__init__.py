"""The wrapper that serverless functions carry: spans, logs and metrics of each invocation."""
