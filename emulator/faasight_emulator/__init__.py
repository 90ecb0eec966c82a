"""Runs serverless applications on this machine as the cloud does."""
