"""Studies: many scans from one manifest, checked before anything is computed, analysed once, with one set of tables.

Knows the pipeline, and no queue and no web.
"""
