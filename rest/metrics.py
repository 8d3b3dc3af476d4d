"""The figures of the service in the text format of Prometheus. All are those of the whole service, not of a process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from jobs import service

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def metrics_text(metrics: service.Metrics) -> bytes:
    """The body of GET /metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(metrics))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, metrics: service.Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        metrics, queue = self._metrics, self._metrics.queue
        yield _labelled(
            GaugeMetricFamily,
            "kneebox_build_info",
            "Version of the program and of its records; always 1.",
            ("version", "commit", "record_version"),
            {(metrics.program.get("version", ""), metrics.program.get("commit", ""), str(metrics.record_version)): 1},
        )
        yield GaugeMetricFamily("kneebox_redis_up", "Whether Redis responds.", value=queue is not None)
        yield GaugeMetricFamily(
            "kneebox_disk_free_bytes", "Free space on the disk of the data directory.", metrics.disk_free_bytes
        )
        yield GaugeMetricFamily(
            "kneebox_disk_size_bytes", "Size of the disk of the data directory.", metrics.disk_size_bytes
        )
        if queue is not None:
            yield from _of_queue(queue)
            yield from _of_workers(queue)
            yield from _of_jobs(queue)


def _of_queue(queue: service.QueueMetrics) -> Iterator[Metric]:
    yield GaugeMetricFamily("kneebox_redis_accepts_writes", "Whether Redis accepts writes.", value=queue.accepts_writes)
    yield GaugeMetricFamily(
        "kneebox_data_dir_up", "Whether the data directory is that of the queue.", value=queue.own_data
    )
    yield GaugeMetricFamily("kneebox_queue_jobs", "Waiting jobs.", queue.waiting)
    yield GaugeMetricFamily(
        "kneebox_queue_oldest_wait_seconds", "Time since the job that waits longest was queued.", queue.oldest_wait_s
    )
    yield _labelled(
        GaugeMetricFamily,
        "kneebox_priority_waiting",
        "Waiting jobs by priority; study: parts of studies in the queue, which has at most 64 of them.",
        ("priority",),
        {(name,): waiting.number for name, waiting in queue.priorities.items()},
    )
    yield _labelled(
        GaugeMetricFamily,
        "kneebox_priority_oldest_wait_seconds",
        "Time since the entry of a priority that waits longest was queued.",
        ("priority",),
        {(name,): waiting.oldest_s for name, waiting in queue.priorities.items()},
    )
    yield GaugeMetricFamily("kneebox_running_jobs", "Running jobs.", queue.running)
    yield GaugeMetricFamily("kneebox_job_records", "Jobs that exist, in any state.", queue.records)
    if queue.disk_use is not None:
        yield GaugeMetricFamily(
            "kneebox_jobs_disk_bytes",
            "Disk space of all job folders, when it was last measured.",
            queue.disk_use.job_bytes,
        )
        yield GaugeMetricFamily(
            "kneebox_jobs_disk_measured_timestamp_seconds", "When that was.", queue.disk_use.measured_s
        )
    yield _labelled(
        CounterMetricFamily,
        "kneebox_refusals",
        "Requests that were answered with an error, by error code.",
        ("code",),
        {(code,): number for code, number in sorted(queue.refusals.items())},
    )


def _of_workers(queue: service.QueueMetrics) -> Iterator[Metric]:
    states = Counter(_state_of(worker) for worker in queue.workers)
    yield _labelled(
        GaugeMetricFamily,
        "kneebox_workers",
        "Workers with a heartbeat in the last 15 s.",
        ("state",),
        {(state,): states[state] for state in ("busy", "idle", "paused", "draining")},
    )
    causes = Counter(worker.cause for worker in queue.workers if worker.paused)
    yield _labelled(
        GaugeMetricFamily,
        "kneebox_workers_paused",
        "Paused workers, by cause: OPERATOR or a fault of the machine.",
        ("cause",),
        {(cause,): number for cause, number in sorted(causes.items())},
    )
    yield GaugeMetricFamily(
        "kneebox_clock_skew_seconds",
        "Largest difference between the clock of a worker's machine and that of Redis.",
        max((abs(worker.skew_s) for worker in queue.workers), default=0.0),
    )


def _state_of(worker: service.WorkerState) -> str:
    """`busy` takes precedence: a paused or draining worker finishes its job."""
    if worker.job_id:
        return "busy"
    return "paused" if worker.paused else "draining" if worker.drains else "idle"


def _of_jobs(queue: service.QueueMetrics) -> Iterator[Metric]:
    counters = queue.counters
    yield _labelled(
        CounterMetricFamily,
        "kneebox_jobs_ended",
        "Ended jobs: COMPLETE, or the error code.",
        ("code",),
        {(code,): number for code, number in sorted(counters.ended.items())},
    )
    steps = SummaryMetricFamily("kneebox_step_seconds", "Seconds of the steps of ended jobs.", labels=("step",))
    for name, total in sorted(counters.steps.items()):
        steps.add_metric((name,), total.runs, total.seconds)
    yield steps
    buckets = [("+Inf" if bound == float("inf") else f"{bound:g}", n) for bound, n in counters.job_buckets.items()]
    yield HistogramMetricFamily(
        "kneebox_job_seconds", "Seconds of complete jobs, from start to end.", buckets, counters.job_seconds
    )


def _labelled(
    kind: type[GaugeMetricFamily] | type[CounterMetricFamily],
    name: str,
    help: str,
    labels: tuple[str, ...],
    values: Mapping[tuple[str, ...], float],
) -> Metric:
    family = kind(name, help, labels=labels)
    for values_of_labels, value in values.items():
        family.add_metric(values_of_labels, value)
    return family
