"""Installed weights: inventory, verification, missing weights and downloads."""
