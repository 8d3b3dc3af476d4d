"""Validation of a segmentation model on a labelled set: scans with expert label maps.

Web processes import `record` alone, which is light.
"""
