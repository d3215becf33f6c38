"""Images that are almost the same: a perceptual hash finds candidates, the correlation of thumbnails decides.

Found are copies that were compressed, resized, made brighter or darker, or given another contrast; turned by up to a
degree or cropped by up to a hundredth; and mirrored. Chest radiographs look alike: the hash alone, at the distances
that are usual for photographs, takes hundreds of pairs of different children for one image.
"""

# N cases, K pairs

from __future__ import annotations

import numpy as np

from doubleread.late import late

scipy_fft = late("scipy.fft")

HASH_SIDE = 8
MOST_DISTANCE = 12
"""Bits of 64 in which the hashes of a candidate pair may differ."""
LEAST_CORRELATION = 0.988
"""Of 32 × 32 thumbnails: of 5,840 chest radiographs, no two that are not byte for byte the same reach 0.98; a copy
compressed to JPEG quality 30 has 0.999, one with gamma 0.7 or 1.3 0.99."""
BLOCK = 512


def near_duplicates(thumbnails: np.ndarray) -> np.ndarray:
    """Return pairs of almost equal images as rows (K, 5): two places, first lower; distance; correlation; mirrored."""
    hash_N, unit_NP = _hashes(thumbnails), _unit(thumbnails)
    found = []
    for mirrored in (False, True):
        seen = thumbnails[:, :, ::-1] if mirrored else thumbnails
        hash_other, unit_other = (_hashes(seen), _unit(seen)) if mirrored else (hash_N, unit_NP)
        for start in range(0, len(hash_N), BLOCK):
            rows = slice(start, start + BLOCK)
            distance = np.bitwise_count(hash_N[rows, None] ^ hash_other[None])
            correlation = unit_NP[rows] @ unit_other.T
            first, second = np.nonzero((distance <= MOST_DISTANCE) & (correlation >= LEAST_CORRELATION))
            later = second > first + start
            first, second = first[later], second[later]
            columns = [first + start, second, distance[first, second], correlation[first, second]]
            found.append(np.column_stack([*columns, np.full(len(first), float(mirrored))]))
    pairs_K5 = np.concatenate(found) if found else np.zeros((0, 5))
    return _once(pairs_K5[np.lexsort((pairs_K5[:, 4], -pairs_K5[:, 3]))])


def _once(pairs_K5: np.ndarray) -> np.ndarray:
    """Return each pair once, as it stands first: an image that is its own mirror would come twice."""
    _, first = np.unique(pairs_K5[:, :2], axis=0, return_index=True)
    return pairs_K5[np.sort(first)]


def _hashes(thumbnails: np.ndarray) -> np.ndarray:
    """Return the hash of each thumbnail, (N,) uint64: which low frequencies are above their median (Zauner 2010)."""
    if not len(thumbnails):
        return np.zeros(0, dtype=np.uint64)
    spectra: np.ndarray = np.asarray(scipy_fft.dctn(thumbnails.astype(np.float64), axes=(1, 2), norm="ortho"))
    low = spectra[:, :HASH_SIDE, :HASH_SIDE].reshape(len(thumbnails), -1)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def _unit(thumbnails: np.ndarray) -> np.ndarray:
    """Return each thumbnail as a vector of mean 0 and length 1, (N, pixels) float32; a constant one stays 0."""
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.divide(flat, length, out=np.zeros_like(flat), where=length > 1e-3)
