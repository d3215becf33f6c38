"""The benchmark's own arithmetic, and what it says where there is nothing to measure."""

import subprocess
import sys

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
