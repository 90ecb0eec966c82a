"""One module a page: a cheap layout, and callbacks of a few lines."""
