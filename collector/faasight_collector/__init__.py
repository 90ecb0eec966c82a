"""Receives telemetry, keeps it safe in a journal and ships it to ClickHouse."""
