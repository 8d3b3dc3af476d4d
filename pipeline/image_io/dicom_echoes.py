"""Corrects echo times with jitter between slices, and applies Philips' private scaling of the values."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import Final

from pipeline.image_io.dicom_files import Frame

ECHO_JITTER_MS: Final = 0.05
"""Maximum difference of the times of one echo between slices; two echoes of a knee sequence differ by at least 1 ms."""


def without_jitter(frames: list[Frame]) -> list[Frame]:
    """Frames of one stack with one echo time per echo: the lowest of those that differ only by jitter.

    Two times belong to one echo if they are close, have the same echo number, and no slice position has both.
    """
    places: defaultdict[tuple[float, int], set[tuple[float, ...]]] = defaultdict(set)
    for frame in frames:
        place = () if frame.position is None else tuple(round(float(x), 3) for x in frame.position)
        places[frame.echo].add(place)
    same: dict[tuple[float, int], tuple[float, int]] = {}
    for number in {echo[1] for echo in places}:
        times = sorted(echo[0] for echo in places if echo[1] == number)
        for earlier, later in pairwise(times):
            first = same.get((earlier, number), (earlier, number))
            if later - earlier <= ECHO_JITTER_MS and not places[first] & places[later, number]:
                same[later, number] = first
                places[first] |= places[later, number]
    return [replace(frame, echo=same[frame.echo]) if frame.echo in same else frame for frame in frames]


def with_true_scale(frames: list[Frame]) -> list[Frame]:
    """Frames with Philips' private scale applied, if it or the rescaling differs between images.

    Philips rescales each image to the full range of its words. Values comparable between images are
    (stored * RS + RI) / (RS * SS), with the public rescale slope RS and intercept RI and the private scale slope SS
    (2005,100E); Chenevert et al., Translational Oncology 2014, 7:65. If all images have the same scale, the stored
    values are comparable and are left unchanged.
    """
    if len(_scales(frames)) < 2 or _without_scale(frames):
        return frames
    return [
        replace(
            frame,
            slope=1.0 / frame.private_scale,
            intercept=frame.intercept / (frame.slope * frame.private_scale),
        )
        for frame in frames
        if frame.private_scale
    ]


def unknown_scale(frames: list[Frame]) -> str:
    """For people: why values of the frames cannot be compared, although Philips' scale may differ; empty if they can.

    The private attribute is often lost, in all or in some images, when a series is anonymised.
    """
    missing = _without_scale(frames)
    philips = len(missing) < len(frames) or any(frame.meaning.manufacturer.startswith("PHILIPS") for frame in frames)
    if not missing or not philips or len(_scales(frames)) < 2:
        return ""
    return (
        f"{len(missing)} of {len(frames)} images lack Philips' scale of the values (2005,100E), and the scale differs "
        "between images; values of different images cannot be compared."
    )


def _scales(frames: list[Frame]) -> set[tuple[float, float | None]]:
    return {(frame.slope, frame.private_scale) for frame in frames}


def _without_scale(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if not frame.private_scale or not frame.slope]
