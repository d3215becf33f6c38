"""R2: kill -9 anywhere, then the same command again: each run is completed exactly once, to the last bit."""

import os
import sys

import pytest

from tests.reliability.kills import Tally, survive


@pytest.mark.slow
def test_a_study_that_is_killed_again_and_again(tmp_path):
    if sys.platform != "linux":
        pytest.skip("processes are found in /proc")
    tally = Tally()
    kills = int(os.environ.get("DOUBLEREAD_KILLS", "4"))
    survive(kills, 1, tmp_path, tally)
    assert tally.kills.total() >= kills
    assert tally.kills["driver"] >= 1
    assert tally.kills["worker"] >= 1
    # without one, the kills have not come in the midst of a run, and nothing was shown
    assert tally.resumed >= 1
