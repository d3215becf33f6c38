"""The phantom is neither solved nor failed by the perceptron of the reports, and its test part is harder to call."""

import pytest
import torch

from doubleread import metrics
from doubleread.dataset import prepare
from doubleread.images import open_source
from doubleread.study import load_study
from doubleread.training import train


@pytest.mark.slow
def test_validation_is_between_75_and_97_percent_and_test_is_visibly_below(tmp_path):
    study = load_study("report-b", overrides={"data.image_size": 64})
    data = prepare(open_source("phantom"), study.data, tmp_path).run_data(0)
    torch.set_num_threads(1)
    (cosine,) = [arm for arm in study.arms if arm.name == "schedule/cosine"]
    result = train(cosine.recipe, 0, "unit", data)
    val = metrics.accuracy(data.labels[data.val], result.val_logits)
    test = metrics.accuracy(data.labels[data.test], result.test_logits)
    assert 0.75 <= val <= 0.97
    assert test < val - 0.05
    # the ranking is not lost: the operating point moved, as between two hospitals
    assert metrics.auroc(data.labels[data.test], result.test_logits) > 0.9
