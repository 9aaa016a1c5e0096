"""Clusters: the map, placement, routing."""
