"""Groups of cases that know of each other: subjects, joined where they have a byte-identical image in common."""

# N cases, G groups

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from doubleread.late import late

scipy_sparse = late("scipy.sparse")
csgraph = late("scipy.sparse.csgraph")


def groups_of(subjects: Sequence[str], digests: Sequence[str]) -> np.ndarray:
    """Return the group of each case, (N,), named by the first of its subjects in alphabetical order.

    Two cases are in one group where they have the subject in common, or the content, or are joined by others that do.
    """
    if not len(subjects):
        return np.zeros(0, dtype="<U1")
    names, subject_N = np.unique(np.asarray(subjects), return_inverse=True)
    _, digest_N = np.unique(np.asarray(digests), return_inverse=True)
    # a graph of subjects and contents, with an edge for each case
    nodes = len(names) + int(digest_N.max()) + 1
    edges = scipy_sparse.coo_array((np.ones(len(subject_N)), (subject_N, len(names) + digest_N)), shape=(nodes, nodes))
    _, component = csgraph.connected_components(edges, directed=False)
    group_P = component[: len(names)]
    _, first, group_of = np.unique(group_P, return_index=True, return_inverse=True)
    return names[first][group_of][subject_N]
