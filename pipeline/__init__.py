"""Knee MRI analysis: from a scan to cartilage thickness, surfaces and T2.

Knows no web, no queue, no environment variable.
"""
