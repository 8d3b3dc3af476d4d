"""Knee MRI analysis: from a scan to cartilage thickness, surfaces and T2.

Does not depend on the web server, the queue or environment variables.
"""
