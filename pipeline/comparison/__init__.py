"""Comparison of two analyses: registration per bone, and differences."""
