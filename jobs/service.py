"""Operations on jobs for pages, routes and command line. Every function raises QueueUnavailable without Redis."""

from __future__ import annotations

from jobs.comparison.comparisons import comparison, comparison_table, comparison_view
from jobs.comparison.document import ComparedAnalysis, JobComparison, JobSeries, OrderedRows, TrendRow
from jobs.comparison.series import series, series_table, series_view
from jobs.control.cancelling import cancel, delete, delete_versions
from jobs.control.copying import copy
from jobs.control.editing import editing_archive
from jobs.control.prolonging import longest_expiry, prolong
from jobs.control.retrying import can_retry, retry
from jobs.control.reviewing import set_review
from jobs.control.row_editing import edit_row
from jobs.control.versioning import restore_version, save_label_map, save_version
from jobs.intake.form_receiver import UPLOAD_FORM, FormKind, FormReceiver
from jobs.intake.scans import PendingScan, choose_series, discard_scan, keep_form, pending_scan, submit_scan
from jobs.intake.submission import receive_form, submit_form, submit_stream
from jobs.state.passes import PASS_LIFETIME_S, accept_pass, issue_pass, revoke_pass, revoke_passes
from jobs.state.refusals import refusals
from jobs.state.statistics import Stats
from jobs.state.workers import WorkerState
from jobs.studies import service as studies
from jobs.views.activity import Activity, DayCount, ModelTimes, activity
from jobs.views.health import Health, health
from jobs.views.metrics import Metrics, QueueMetrics, metrics
from jobs.views.models import ModelFacts, ShapeModelFacts, model_picture, models, shape_models, validations
from jobs.views.reading import archive, artifact, get, measurements, recent, results_folder, stats, view_file
from jobs.views.versions import Version, versions

__all__ = [
    "PASS_LIFETIME_S",
    "UPLOAD_FORM",
    "Activity",
    "ComparedAnalysis",
    "DayCount",
    "FormKind",
    "FormReceiver",
    "Health",
    "JobComparison",
    "JobSeries",
    "Metrics",
    "ModelFacts",
    "ModelTimes",
    "OrderedRows",
    "PendingScan",
    "QueueMetrics",
    "ShapeModelFacts",
    "Stats",
    "TrendRow",
    "Version",
    "WorkerState",
    "accept_pass",
    "activity",
    "archive",
    "artifact",
    "can_retry",
    "cancel",
    "choose_series",
    "comparison",
    "comparison_table",
    "comparison_view",
    "copy",
    "delete",
    "delete_versions",
    "discard_scan",
    "edit_row",
    "editing_archive",
    "get",
    "health",
    "issue_pass",
    "keep_form",
    "longest_expiry",
    "measurements",
    "metrics",
    "model_picture",
    "models",
    "pending_scan",
    "prolong",
    "receive_form",
    "recent",
    "refusals",
    "restore_version",
    "results_folder",
    "retry",
    "revoke_pass",
    "revoke_passes",
    "save_label_map",
    "save_version",
    "series",
    "series_table",
    "series_view",
    "set_review",
    "shape_models",
    "stats",
    "studies",
    "submit_form",
    "submit_scan",
    "submit_stream",
    "validations",
    "versions",
    "view_file",
]
