"""Reads scans: NIfTI, NRRD, DICOM (files, multi-frame, folders) and zips of them.

The reader is selected by the first bytes of a file, not guessed by a library. Headers are read by tag: only the tags
needed for geometry, echoes, side and sequence are parsed, so no patient data is held in memory.
"""

from pipeline.image_io.content import require_content
from pipeline.image_io.label_map import read_label_map
from pipeline.image_io.reader import check_scan, read_scan

__all__ = ["check_scan", "read_label_map", "read_scan", "require_content"]
