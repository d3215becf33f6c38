"""A quick model's opinion of each label, formed without that image and its subject."""

# N cases

from __future__ import annotations

import numpy as np

from doubleread.late import late

sklearn_decomposition = late("sklearn.decomposition")
sklearn_linear = late("sklearn.linear_model")
sklearn_selection = late("sklearn.model_selection")
sklearn_pipeline = late("sklearn.pipeline")
sklearn_preprocessing = late("sklearn.preprocessing")

FOLDS = 5
COMPONENTS = 60
STRENGTH = 0.1
"""Inverse of the penalty on the standardised components."""


def out_of_fold(thumbnails: np.ndarray, labels_N: np.ndarray, groups_N: np.ndarray) -> np.ndarray:
    """Return the chance of the positive class for each case, (N,), from models that saw none of its group.

    NaN where there are more than two classes.

    Logistic regression on 60 principal components of the 32 × 32 thumbnails, each scaled to mean 0 and SD 1 first, so
    that exposure says nothing. NaN where a class has images of fewer than two groups.
    """
    if labels_N.max() > 1:
        return np.full(len(labels_N), np.nan)
    folds = min(FOLDS, *(len(np.unique(groups_N[labels_N == label])) for label in (0, 1)))
    chance_N = np.full(len(labels_N), np.nan)
    if folds < 2:
        return chance_N
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(flat.std(axis=1, keepdims=True), 1.0)
    for train, rest in sklearn_selection.StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(
        flat, labels_N, groups_N
    ):
        if len(np.unique(labels_N[train])) < 2 or not np.ptp(flat[train], axis=0).any():
            continue
        components = max(1, min(COMPONENTS, len(train) // 4))
        model = sklearn_pipeline.make_pipeline(
            sklearn_preprocessing.StandardScaler(),
            sklearn_decomposition.PCA(components, svd_solver="randomized", random_state=0),
            sklearn_preprocessing.StandardScaler(),
            sklearn_linear.LogisticRegression(C=STRENGTH, max_iter=300),
        ).fit(flat[train], labels_N[train])
        chance_N[rest] = model.predict_proba(flat[rest])[:, 1]
    return chance_N


def label_issues(chance_N: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    """Return the cases whose label the model confidently disagrees with, (K,), the most confident first.

    Confident learning (Northcutt, Jiang & Chuang 2021): the other class is the likelier one, and at least as likely as
    the model finds it, on average, for the images that are labelled with it.
    """
    other_N = np.where(labels_N == 1, 1 - chance_N, chance_N)
    usual = {label: _mean(np.where(label == 1, chance_N, 1 - chance_N)[labels_N == label]) for label in (0, 1)}
    needed_N = np.where(labels_N == 1, usual[0], usual[1])
    rows = np.flatnonzero((other_N > 0.5) & (other_N >= needed_N))
    return rows[np.argsort(-other_N[rows], kind="stable")]


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan
