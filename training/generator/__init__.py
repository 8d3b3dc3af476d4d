"""Synthetic knee scans of the clinical sequences, with the tissues and diseases that real scans show."""
