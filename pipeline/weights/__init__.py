"""Weights on this machine: what is there, whether it is genuine, what is missing, and how to fetch it."""
