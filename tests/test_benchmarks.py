"""The benchmark's own arithmetic, and what it says where there is nothing to measure."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.conftest import ROOT

BENCHMARKS = ROOT / "benchmarks"


def test_the_floor_is_the_larger_of_work_and_bytes(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from floor import floor_of

    # 65,536 x 64 weights: two products of 1,600 cases and one of 400, 2 operations a weight and case
    work = 2 * 65536 * 64 * 3600
    assert floor_of(256, 32, rate=1e11, bytes_a_second=1e15) == pytest.approx(work / 1e11)
    # weights and two moments, read and written in each of 50 steps, or of 200
    assert floor_of(256, 32, rate=1e18, bytes_a_second=5e10) == pytest.approx(50 * 24 * 65536 * 64 / 5e10)
    assert floor_of(256, 8, rate=1e18, bytes_a_second=5e10) == pytest.approx(200 * 24 * 65536 * 64 / 5e10)


@pytest.mark.slow
def test_without_a_cuda_device_nothing_is_claimed(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    command = [sys.executable, BENCHMARKS / "gpu.py", "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr == "gpu.py: PyTorch finds no CUDA device here; nothing was measured\n"
    assert not (tmp_path / "out").exists()


@pytest.fixture
def diagnosis(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import diagnosis

    return diagnosis


def test_the_truth_of_an_accuracy_is_that_of_counting(diagnosis):
    rng = np.random.default_rng(0)
    scores = (rng.normal(-1, 1, 5000), rng.normal(1, 1, 5000))
    half, best = diagnosis.accuracies(scores, 0.3, 0.0)
    assert half == pytest.approx(0.7 * (scores[0] <= 0).mean() + 0.3 * (scores[1] > 0).mean())
    thresholds = np.linspace(-4, 4, 801)
    tried = [0.7 * (scores[0] <= t).mean() + 0.3 * (scores[1] > t).mean() for t in thresholds]
    assert best == pytest.approx(max(tried), abs=1e-3)
    # of a tenth of each class the label is the other's: what was right for the truth is wrong for it
    noisy, _ = diagnosis.accuracies(scores, 0.5, 0.1)
    clean, _ = diagnosis.accuracies(scores, 0.5, 0.0)
    assert noisy == pytest.approx(0.9 * clean + 0.1 * (1 - clean))


@pytest.mark.parametrize(
    ("scenario", "kind", "parts", "suspects", "named"),
    [
        ("no cause", "none", [], [], True),
        ("no cause", "mixed", ["ranking"], [], False),
        ("exposure", "mostly", ["threshold", "ranking"], [], True),
        ("exposure", "mixed", ["ranking", "threshold"], [], False),
        ("exposure", "undecided", ["threshold"], [], False),
        ("duplicates", "mostly", ["leakage"], [], False),
        ("duplicates", "mixed", ["leakage"], ["duplicates"], True),
        ("exposure and weaker findings", "mostly", ["threshold", "ranking"], [], True),
        ("exposure and weaker findings", "mostly", ["threshold"], [], False),
    ],
)
def test_a_cause_is_named_by_its_part_and_by_what_the_audit_must_find(
    diagnosis, scenario, kind, parts, suspects, named
):
    found = {"kind": kind, "parts": parts, "suspects": suspects}
    assert diagnosis.named(diagnosis.SCENARIOS[scenario], found) is named


def test_what_is_planted_in_a_phantom_is_in_its_specification(diagnosis):
    for name, scenario in diagnosis.SCENARIOS.items():
        family = diagnosis.FAMILIES[scenario.family]
        spec = diagnosis.spec_of(3, family, scenario.knobs)
        assert all(getattr(spec, knob) == value for knob, value in {**family.knobs, **scenario.knobs}.items()), name
        assert (spec.seed, spec.size) == (3, diagnosis.SIZE)
        assert name in diagnosis.POPULATION_OF
