"""Sequences and recall."""
