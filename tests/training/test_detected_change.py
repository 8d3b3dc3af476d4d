"""A knee is thinned in one subregion by the stated amount, and changes are called by the smallest detectable one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.knees import coarse_knee
from training.evaluation.detected_change import PairChange, called, thinned


@pytest.mark.slow
def test_only_the_subregion_becomes_thinner_and_by_as_much_as_stated() -> None:
    knee = coarse_knee()
    after, changes = thinned(knee, "cMT", 0.1)
    assert abs(changes.pop("cMT") + 0.1) < 0.01
    # rays at the border of the subregion meet cartilage of its neighbours
    assert max(abs(change) for change in changes.values()) < 0.02
    assert 0 < np.count_nonzero(knee.labels) - np.count_nonzero(after.labels) < 0.01 * np.count_nonzero(knee.labels)


def test_a_change_is_called_where_it_is_larger_than_the_detectable_one_of_the_pair() -> None:
    def pair(cmt: float, clt: float, detectable: float = 0.08) -> dict[str, PairChange]:
        return {
            "cMT": PairChange(change=cmt, detectable=detectable),
            "cLT": PairChange(change=clt, detectable=0.05),
        }

    pairs = [pair(-0.09, 0.01), pair(-0.11, -0.06), pair(0.02, 0.0), pair(-0.09, 0.0, detectable=0.1)]
    assert called(pairs) == {"cMT": 0.5, "cLT": 0.25}
