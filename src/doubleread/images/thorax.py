"""A synthetic frontal chest radiograph of a child: draw the parameters of one, then project it.

Lengths are centimetres, x to the patient's left (right on the film), y down, from the middle of the chest. Attenuation
coefficients are those of ICRU-44 tissues at 40 keV, about the mean energy of a 65 kVp beam (NIST X-Ray Mass Attenuation
Coefficients, NISTIR 5632). The film has a logistic characteristic curve in log exposure (after Hurter and Driffield).
"""

# N pixels a side, S vessel segments, F foci, G nodes of a coarse noise field

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from doubleread.late import late

ndimage = late("scipy.ndimage")
FIELD_CM, MU_TISSUE, MU_BONE = 21.5, 0.285, 0.75  # bone: excess over tissue; cortex 1.28/cm, marrow between
PHOTONS = 9000.0  # a pixel of 256 in the unattenuated beam, after the detector's efficiency
SPEED = 1.05  # log exposure at which a clear lung is dark and a heart is not yet white
NODES, TRUNKS, BAND = 10, 8, 64  # nodes of a noise field, vessels from a hilum, rows worked on at once


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Anatomy:
    """What all images of one subject share; lengths in cm."""

    half_width: float
    half_depth: float
    apex: float
    wall: float
    domes: tuple[float, float]  # height of the diaphragm, right and left
    heart: tuple[float, float, float, float, float, float]  # x, y, half-axes across, along and in depth, tilt
    mediastinum: float
    thymus: float
    spine_bend: float
    rib_spacing: float
    rib_phase: float
    rib_tilt: float
    rib_height: float  # half of it, as a share of the spacing
    bone: float
    clavicle_slope: float
    lung_density: float
    stomach: float
    vessels_S5: np.ndarray  # x0, y0, x1, y1, radius


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class View:
    """How one film was taken: pose, breath, beam and film."""

    angle: float  # radians, in the plane of the film
    shift: tuple[float, float]
    zoom: float
    turn: float  # sine of the rotation about the long axis
    breath: float  # cm by which the diaphragm is lower than at rest
    stops: float  # log2 of the exposure
    gamma: float
    scatter: float  # scattered over primary
    margins: tuple[float, float, float, float]  # shutters: left, top, right, bottom, as a share of the side
    marker: tuple[float, float]
    haze_GG: np.ndarray


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pneumonia:
    """Extra density of the lung: foci (lobar) and a patchy field around both hila (diffuse)."""

    foci_F6: np.ndarray  # x, y, half-axes across and along, steepness of the edge, strength
    diffuse: float
    patches_GG: np.ndarray


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Thorax:
    """One radiograph before it is projected; `contrast` scales the density of the pneumonia, 0 is a healthy lung."""

    anatomy: Anatomy
    view: View
    pneumonia: Pneumonia
    contrast: float


def draw_thorax(
    subject_rng: np.random.Generator, image_rng: np.random.Generator, *, contrast: float, exposure_shift: float
) -> Thorax:
    """Draw one radiograph: the anatomy from the subject's stream, pose, film and pneumonia from the image's own.

    `contrast` (≥ 0) and `exposure_shift` (stops) change no draw, so images that differ in them show the same body.
    """
    anatomy, view = draw_anatomy(subject_rng), draw_view(image_rng, exposure_shift)
    return Thorax(anatomy=anatomy, view=view, pneumonia=draw_pneumonia(image_rng), contrast=contrast)


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw the body of a child of about one to six years."""
    size = rng.normal(1.0, 0.05)
    heart = rng.normal(1.0, 0.07)
    dome = 5.0 * size + rng.normal(0.0, 0.45)
    return Anatomy(
        half_width=8.9 * size * rng.normal(1.0, 0.035),
        half_depth=5.6 * size * rng.normal(1.0, 0.05),
        apex=-9.0 * size + rng.normal(0.0, 0.25),
        wall=rng.uniform(0.9, 2.0),
        domes=(dome, dome + rng.normal(0.6, 0.3)),
        heart=(rng.normal(1.3, 0.3), 2.2 * size, 3.9 * heart, 5.2 * heart, 4.2 * heart, rng.normal(0.55, 0.1)),
        mediastinum=rng.uniform(1.5, 2.3),
        thymus=rng.exponential(0.5),
        spine_bend=rng.normal(0.0, 0.25),
        rib_spacing=1.72 * size * rng.normal(1.0, 0.05),
        rib_phase=rng.uniform(0.0, 1.0),
        rib_tilt=rng.normal(0.55, 0.07),
        rib_height=rng.uniform(0.21, 0.28),
        bone=rng.uniform(0.8, 1.2),
        clavicle_slope=rng.normal(0.16, 0.07),
        lung_density=float(np.clip(rng.normal(0.27, 0.03), 0.18, 0.38)),
        stomach=rng.uniform(-0.6, 1.6),
        vessels_S5=_draw_vessels(rng),
    )


def _draw_vessels(rng: np.random.Generator) -> np.ndarray:
    """Draw pulmonary vessels that leave the hila and fork; shape (S, 5), thin ones first."""
    side = np.repeat([-1.0, 1.0], TRUNKS)
    angle = np.tile(np.linspace(-1.25, 1.35, TRUNKS), 2) + rng.normal(0.0, 0.1, 2 * TRUNKS)
    tip = np.stack([side * 2.1, -0.9 - 0.25 * (side + 1)], axis=1) + rng.normal(0.0, 0.3, (2 * TRUNKS, 2))
    radius = rng.uniform(0.3, 0.5, 2 * TRUNKS)
    segments = []
    for _ in range(4):
        way = np.stack([side * np.cos(angle), np.sin(angle)], axis=1)
        end = tip + rng.uniform(0.9, 1.9, len(tip))[:, None] * way
        segments.append(np.column_stack([tip, end, radius]))
        fork = np.flatnonzero(rng.random(len(tip)) < 0.45)
        turn = rng.choice([-1.0, 1.0], len(fork)) * rng.uniform(0.35, 0.7, len(fork))
        angle = np.concatenate([angle + rng.normal(0.0, 0.12, len(angle)), angle[fork] + turn])
        tip, side = np.concatenate([end, end[fork]]), np.concatenate([side, side[fork]])
        radius = np.concatenate([radius * 0.76, radius[fork] * 0.6])
    return np.concatenate(segments[::-1]).astype(np.float32)


def draw_view(rng: np.random.Generator, exposure_shift: float) -> View:
    """Draw how the film was taken; `exposure_shift` is added to its exposure, in stops: more is a darker film."""
    shutters = np.where(rng.random(4) < 0.35, rng.uniform(0.0, 0.06, 4), 0.0)
    left, top, right, bottom = shutters.tolist()
    return View(
        angle=rng.normal(0.0, 0.03),
        shift=(rng.normal(0.0, 0.35), rng.normal(0.0, 0.45)),
        zoom=rng.normal(1.0, 0.035),
        turn=rng.normal(0.0, 0.09),
        breath=rng.normal(0.0, 0.4),
        stops=rng.normal(0.0, 0.1) + exposure_shift,
        gamma=rng.normal(1.25, 0.08),
        scatter=rng.uniform(0.5, 1.0),
        margins=(left, top, right, bottom),
        marker=(rng.uniform(0.03, 0.07), rng.uniform(0.05, 0.3)),
        haze_GG=rng.standard_normal((NODES, NODES), dtype=np.float32),
    )


def draw_pneumonia(rng: np.random.Generator) -> Pneumonia:
    """Draw one to three foci in the lobes of either lung, and how strong the diffuse part is beside them."""
    count = int(rng.integers(1, 4))
    strength = rng.lognormal(0.0, 0.3) * (rng.uniform(0.05, 0.35) if rng.random() < 0.16 else 1.0)
    lobar = rng.random() < 0.5
    foci = [
        rng.choice([-1.0, 1.0], count) * rng.uniform(3.0, 6.5, count),
        rng.choice([-5.0, -0.5, 3.0], count, p=[0.25, 0.3, 0.45]) + rng.normal(0.0, 0.7, count),
        rng.uniform(1.8, 4.0, count),
        rng.uniform(1.6, 3.6, count),
        rng.uniform(1.0, 4.0, count),
        strength * rng.uniform(0.5, 1.0, count) * (1.0 if lobar else 0.35),
    ]
    diffuse = strength * rng.uniform(0.6, 1.0) * (0.6 if lobar else 1.0)
    patches = rng.standard_normal((NODES, NODES), dtype=np.float32)
    return Pneumonia(foci_F6=np.stack(foci, axis=1).astype(np.float32), diffuse=diffuse, patches_GG=patches)


def render(thorax: Thorax, quanta_NN: np.ndarray) -> np.ndarray:
    """Project `thorax` onto a film; `quanta_NN` is standard normal; returns shape (N, N), uint8, bones bright.

    Primary exp(−∫μ) (Beer–Lambert), plus scatter as its wide blur, plus Poisson noise in its normal limit.
    """
    size = len(quanta_NN)
    anatomy, view = thorax.anatomy, thorax.view
    path = _attenuation(thorax, size)
    signal = np.exp(np.negative(path, out=path), out=path)
    signal += view.scatter * _blur(signal)
    signal *= 1.0 / (1.0 + view.scatter)
    noise = np.sqrt(signal)
    noise *= quanta_NN
    noise *= float(PHOTONS * 2.0**view.stops) ** -0.5 * size / 256
    signal += noise
    # The exposure meter sits behind the lungs, so it makes up for the wall and the healthy lung before it.
    meter = 2 * MU_TISSUE * (anatomy.wall + anatomy.lung_density * anatomy.half_depth)
    film = np.log(np.maximum(signal, 1e-4, out=signal), out=signal)
    film += SPEED + meter + view.stops * float(np.log(2.0))
    film = 255.0 / (1.0 + np.exp(view.gamma * film))
    _draw_shutters(film, view)
    return np.rint(film, out=film).astype(np.uint8)


def _step(t: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    t = np.clip(t, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _chord(squared: np.ndarray) -> np.ndarray:
    """Relative chord of an ellipsoid at a squared relative distance from its middle."""
    return np.sqrt(np.maximum(1.0 - squared, 0.0))


def _blur(image_NN: np.ndarray) -> np.ndarray:
    """Wide blur (1.5 cm), worked out on a coarse grid because scatter holds no detail."""
    size = len(image_NN)
    coarse = Image.fromarray(image_NN).resize((32, 32), Image.Resampling.BOX)
    smooth = ndimage.gaussian_filter(np.asarray(coarse), 32 * 1.5 / FIELD_CM, mode="nearest")
    return np.asarray(Image.fromarray(smooth).resize((size, size), Image.Resampling.BILINEAR))


def _enlarge(field_GG: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(field_GG).resize((size, size), Image.Resampling.BICUBIC))


def _coordinates(size: int, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of the body at the pixels: x (N, N), which leans with the body, and y (N, 1)."""
    axis = ((np.arange(size, dtype=np.float32) + 0.5) / size - 0.5) * FIELD_CM
    u, v = ((axis - shift) / view.zoom for shift in view.shift)
    return u + view.angle * v[:, None], v[:, None]


def _attenuation(thorax: Thorax, size: int) -> np.ndarray:
    """Line integral of the attenuation coefficient through the body at each pixel, shape (N, N)."""
    # Soft tissue at half the resolution: its edges move with heart and breath, and it takes a quarter of the time.
    result = MU_TISSUE * _enlarge(_tissue(thorax, *_coordinates((size + 1) // 2, thorax.view)), size)
    x, y = _coordinates(size, thorax.view)
    # In bands: arrays above 128 KiB come from fresh pages each time, which costs more than the arithmetic.
    for start in range(0, size, BAND):
        rows = slice(start, start + BAND)
        bone = (MU_BONE * thorax.anatomy.bone) * _bone(thorax, x[rows], y[rows])
        result[rows] += bone * (result[rows] > 0.2)
    return result


def _tissue(thorax: Thorax, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Path through soft tissue, or what weighs as much: lung counts by its density."""
    anatomy, view = thorax.anatomy, thorax.view
    width, depth = _cage(anatomy, y)
    m = x - anatomy.spine_bend * np.sin(y * 0.25) - 4.0 * view.turn
    air = _lung(anatomy, x, y, m, 2.0 * depth * _chord(np.square(x / width)))
    air *= _above_diaphragm(anatomy, view, x, y - view.angle * x)
    vessels = _vessels(anatomy, view, len(x)) * (air > 1.0)
    air *= (1.0 - anatomy.lung_density) - 0.04 * _enlarge(view.haze_GG, len(x))
    if thorax.contrast > 0:
        patches = _enlarge(thorax.pneumonia.patches_GG, len(x))
        air *= 1.0 - np.minimum(thorax.contrast * _density(thorax.pneumonia, x, y, patches), 0.9)
    tissue = _body(anatomy, x, y) - air + vessels - _gas(anatomy, x, y, m)
    return np.maximum(tissue, 0.0)


def _bone(thorax: Thorax, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Path through bone."""
    anatomy, view = thorax.anatomy, thorax.view
    level = y - view.angle * x
    relative = np.abs(x) / _cage(anatomy, y)[0]
    bone = _ribs(anatomy, relative, level, _chord(relative * relative))
    bone += _spine(x - anatomy.spine_bend * np.sin(y * 0.25), y, anatomy)
    if y[0, 0] < -2.0:  # nothing of the clavicles lies lower
        bone += _clavicles(anatomy, view, x, level)
    return bone


def _cage(anatomy: Anatomy, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half-width and half-depth of the rib cage at each height."""
    t = np.clip((2.5 - y) / (2.5 - anatomy.apex), 0.0, 0.999)
    rise = np.sqrt(1.0 - t * t)
    return anatomy.half_width * rise, anatomy.half_depth * np.sqrt(rise)


def _lung(anatomy: Anatomy, x: np.ndarray, y: np.ndarray, m: np.ndarray, chord: np.ndarray) -> np.ndarray:
    """Path through the cage without mediastinum and heart, whose middle is at m = 0."""
    half = anatomy.mediastinum + anatomy.thymus * np.exp(-np.square((y + 3.5) * 0.45)) + 0.1 * np.maximum(y, 0.0)
    centre = (1.9 * anatomy.half_depth) * _chord(np.square(m / half))
    x0, y0, across, along, deep, tilt = anatomy.heart
    cos, sin = float(np.cos(tilt)), float(np.sin(tilt))
    u, v = m - x0, y - y0
    p = u * (cos / across) - v * (sin / across)
    q = u * (sin / along) + v * (cos / along)
    heart = (2.0 * deep) * _chord(p * p + q * q)
    return np.maximum(chord - np.maximum(centre, heart) - 0.6, 0.0)


def _above_diaphragm(anatomy: Anatomy, view: View, x: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Share of the path that lies above the domes; behind them the lung reaches lower and thins out."""
    right, left = anatomy.domes
    top = right + view.breath + (left - right) * _step(x * 0.5 + 0.5)
    side = np.abs(x) * (1.0 / anatomy.half_width) - 0.45
    drop = level - top - side * side * (7.5 + 6.0 * np.maximum(side, 0.0))
    return 0.82 * _step(0.5 - drop * 2.5) + np.clip(0.18 - drop * 0.07, 0.0, 0.18)


def _body(anatomy: Anatomy, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Path through the trunk with shoulders and neck, as if it were all soft tissue."""
    far = np.abs(x)
    flare = _step((y + 3.0) * -0.16)
    width = (anatomy.half_width + anatomy.wall) + 5.0 * flare
    depth = (anatomy.half_depth + anatomy.wall) * (1.0 - 0.35 * flare)
    relative = far / width
    trunk = _chord(relative * relative * relative) * _step((y - 0.32 * np.maximum(far - 3.2, 0.0)) * 0.35 + 4.34)
    return 2.0 * depth * np.maximum(trunk, 0.8 * _chord(np.square(x * (1 / 3.4))))


def _gas(anatomy: Anatomy, x: np.ndarray, y: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Air in the trachea, the main bronchi and, where the child has swallowed some, the stomach."""
    far = np.abs(m)
    trachea = 1.7 * _chord(np.square(m * (1 / 0.6))) * _step((-3.4 - y) * 2.0)
    fall = (y + 3.6) - (0.68 * far - 0.12 * m)
    bronchi = 1.1 * _chord(np.square(fall * 2.0)) * _step((2.8 - far) * 1.5) * (y > -3.6)
    u, v = (x - 0.5 * anatomy.half_width) * (1 / 2.2), (y - (anatomy.domes[0] + 3.2)) * (1 / 1.3)
    return trachea + bronchi + 3.0 * max(anatomy.stomach, 0.0) * _chord(u * u + v * v)


def _ribs(anatomy: Anatomy, relative: np.ndarray, level: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """Path through the ribs: hoops on the cage in planes tilted forward, so the front of a hoop lies lower.

    A hoop is at angle θ from the spine at height y_k + tilt·(1 − cos θ) and is crossed at a slant of cos θ.
    """
    tilt = anatomy.rib_tilt * anatomy.half_depth
    slant = ((relative < 1.0) & (level > anatomy.apex)) / np.maximum(cosine, 0.3)
    front = np.clip(relative * 1.5 - 0.6, 0.0, 0.5)
    lean = tilt * cosine
    return 0.7 * slant * (_tube(level - tilt + lean, anatomy) + front * _tube(level - tilt - lean, anatomy))


def _tube(height: np.ndarray, anatomy: Anatomy) -> np.ndarray:
    """Relative path through the rib nearest to a height: a cortex with marrow inside."""
    u = height * (1 / anatomy.rib_spacing) + anatomy.rib_phase
    d = np.square((u - np.rint(u)) * (1 / anatomy.rib_height))
    return _chord(d) * (0.55 + 0.6 * d)


def _spine(s: np.ndarray, y: np.ndarray, anatomy: Anatomy) -> np.ndarray:
    """Path through vertebral bodies with discs between them, and the processes on either side."""
    phase = np.cos(y * (2 * np.pi / anatomy.rib_spacing))
    d = s * s
    body = _chord(d * d * 0.5) * (0.6 + 0.55 * _step(phase * 1.5 + 0.6))
    return 0.7 * body + 0.4 * _chord(d * 0.25) * _step(phase * 2.0 - 0.6)


def _clavicles(anatomy: Anatomy, view: View, x: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Path through the clavicles, an S from the sternum to the shoulder on each side."""
    far = np.abs(x - 5.0 * view.turn)
    line = 0.8 * anatomy.apex - anatomy.clavicle_slope * far - 0.35 * np.sin(far * 0.75)
    d = np.square((level - line) * 2.0)
    ends = _step((far - 0.9) * 2.0) * _step((9.5 - far) * 2.0)
    return 1.1 * _chord(d) * (0.6 + 0.6 * d) * ends


def _vessels(anatomy: Anatomy, view: View, size: int) -> np.ndarray:
    """Path through the pulmonary vessels, each with a bronchus beside it: four radii, drawn at twice the size."""
    segments = anatomy.vessels_S5
    x, y = segments[:, 0:4:2] - view.angle * segments[:, 1:4:2], segments[:, 1:4:2]
    scale = 2 * size / FIELD_CM
    pixels = [(place * view.zoom + shift) * scale + size for place, shift in zip((x, y), view.shift, strict=True)]
    lines = np.stack(pixels, axis=2).reshape(-1, 4).tolist()
    width = np.maximum(np.rint(segments[:, 4] * (2 * scale * view.zoom)), 1).astype(int)
    shade = np.rint(segments[:, 4] * 500).astype(int)
    canvas = Image.new("L", (2 * size, 2 * size))
    pen = ImageDraw.Draw(canvas)
    for line, thick, grey in zip(lines, width.tolist(), shade.tolist(), strict=True):
        pen.line(line, fill=grey, width=thick)
    return np.asarray(canvas.reduce(2), dtype=np.float32) * np.float32(4 / 500)


def _density(pneumonia: Pneumonia, x: np.ndarray, y: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """Share of the air that the pneumonia replaces, before `contrast`."""
    total = np.zeros_like(x)
    edge = 1.0 + 0.35 * patches
    for x0, y0, across, along, steep, strength in pneumonia.foci_F6:
        r = np.square((x - x0) * (1 / across)) + np.square((y - y0) * (1 / along))
        total += strength * _step((edge - r) * (0.5 * steep) + 0.25)
    near = np.exp(-np.square((np.abs(x) - 4.2) * 0.22)) * np.exp(-np.square((y - 0.5) * 0.17))
    total *= 0.75 + 0.25 * patches
    total += pneumonia.diffuse * near * (0.4 + 0.6 * _step(0.5 + 0.45 * patches))
    return np.maximum(total, 0.0)


def _draw_shutters(film_NN: np.ndarray, view: View) -> None:
    """Blacken what the shutters cover and set the side marker, in place."""
    size = len(film_NN)
    left, top, right, bottom = (round(size * margin) for margin in view.margins)
    glyph = Image.new("L", (size, size))
    strokes = [(0, 2), (0, 0), (0.8, 0), (1, 0.25), (1, 0.75), (0.8, 1), (0, 1), (0.4, 1), (1, 2)]
    points = ((np.array(view.marker) + 0.02 * np.array(strokes)) * size).ravel().tolist()
    ImageDraw.Draw(glyph).line(points, fill=235, width=max(1, size // 128))
    np.maximum(film_NN, np.asarray(glyph), out=film_NN)
    film_NN[:top] = film_NN[size - bottom :] = 4.0
    film_NN[:, :left] = film_NN[:, size - right :] = 4.0
