"""The shared-memory path."""
