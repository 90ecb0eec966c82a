"""Pure functions from rows to components, testable without a server."""
