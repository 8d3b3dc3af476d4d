"""Reading what a user brings: NIfTI, NRRD, DICOM (files, multi-frame, folders) and zips of them.

Which reader runs is decided here from a file's first bytes, never by a library's guess. Headers are read by tag: only
what geometry, echoes, side and sequence need is parsed, so nothing about the patient is ever held in memory.
"""

from pipeline.image_io.content import require_content
from pipeline.image_io.reader import check_scan, read_label_map, read_scan

__all__ = ["check_scan", "read_label_map", "read_scan", "require_content"]
