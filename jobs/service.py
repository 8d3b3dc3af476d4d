"""What pages, routes and the command line may do with jobs. Every function raises QueueUnavailable without Redis."""

from __future__ import annotations

from jobs.control import cancel, delete, retry
from jobs.health import health, models
from jobs.reading import archive, artifact, get, measurements, recent, results_folder, stats, view_file
from jobs.submission import receive_form, submit_form, submit_stream
from jobs.uploads import FormReceiver

__all__ = [
    "FormReceiver",
    "archive",
    "artifact",
    "cancel",
    "delete",
    "get",
    "health",
    "measurements",
    "models",
    "receive_form",
    "recent",
    "results_folder",
    "retry",
    "stats",
    "submit_form",
    "submit_stream",
    "view_file",
]
