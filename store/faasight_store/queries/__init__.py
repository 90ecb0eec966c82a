"""Every query as a typed function, one module a subject."""
