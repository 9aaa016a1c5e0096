"""Connections to silos."""
