"""Checks of a model's answers on scans without labels: which of a lab's scans look wrong, and why."""
