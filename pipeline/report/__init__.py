"""The results of one analysis as files: tables, label maps, surfaces, pictures, one page, one zip."""

from pipeline.report.archive import write_archive
from pipeline.report.maps import write_maps
from pipeline.report.provenance import collect_host, collect_packages, collect_program
from pipeline.report.view import write_view
from pipeline.report.write import write_report

__all__ = [
    "collect_host",
    "collect_packages",
    "collect_program",
    "write_archive",
    "write_maps",
    "write_report",
    "write_view",
]
