"""What a sensor sees of the simulated land: reflectance, clouds, shadows, snow, swath edges."""

from __future__ import annotations

import numba
import numpy as np

# Classes of a rendered pixel; the sensors' quality bands are written from them.
FILL, LAND, VEGETATION, WATER, CLOUD, RIM, SHADOW, SHADOW_DEEP, SNOW = range(9)

STEP = 16  # pixels between the exact positions of the coordinate lattice
WEATHER_STEP = 8  # pixels between the samples of the weather fields


@numba.njit(nogil=True, cache=True, inline="always")
def _sample(field: np.ndarray, y: float, x: float) -> float:
    """Bilinear value of a 2-D field, held constant beyond its edge."""
    y = min(max(y, 0.0), field.shape[0] - 1.001)
    x = min(max(x, 0.0), field.shape[1] - 1.001)
    i, j = int(y), int(x)
    t, s = y - i, x - j
    top = field[i, j] * (1 - s) + field[i, j + 1] * s
    low = field[i + 1, j] * (1 - s) + field[i + 1, j + 1] * s
    return top * (1 - t) + low * t


@numba.njit(nogil=True, cache=True, inline="always")
def _ramp(value: float, margin: float) -> float:
    """0 below `margin`, 1 above three times that: effects begin inside the flagged area."""
    return min(1.0, max(0.0, (value - margin) / (2 * margin)))


@numba.njit(nogil=True, cache=True, inline="always")
def _hash(value: np.uint64) -> np.uint64:
    """Mix 64 bits (splitmix64): random numbers that depend on the pixel only, not on the order."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@numba.njit(nogil=True, cache=True)
def render(
    fields: np.ndarray,
    lattice: np.ndarray,
    cloud: np.ndarray,
    snow: np.ndarray,
    margins: tuple[float, float],
    displacement: tuple[float, float],
    edge: tuple[float, float, float],
    to_uv: tuple[float, float],
    greenness: float,
    gain: float,
    noise: tuple[float, float],
    encode: tuple[float, float],
    key: np.uint64,
    red: np.ndarray,
    nir: np.ndarray,
    classes: np.ndarray,
) -> None:
    """Render a scene into `red`, `nir` (uint16) and `classes` (uint8), all [rows, columns].

    Parameters
    ----------
    fields : numpy.ndarray
        Land, float32 [rows, columns, 3]: NDVI at the peak, in winter, red + NIR reflectance.
    lattice : numpy.ndarray
        float64 [rows, columns, 2]: column and row of `fields` under every STEP-th scene pixel.
    cloud, snow : numpy.ndarray
        float32, every WEATHER_STEP-th pixel; above 0 is flagged.
    margins : tuple of float
        Cloud and snow values below which the surface is still unharmed.
    displacement : tuple of float
        Rows, columns from a cloud to its shadow.
    edge : tuple of float
        Observed where a*u + b*v <= c.
    to_uv : tuple of float
        u = column * to_uv[0] + to_uv[1], and likewise v of the row.
    greenness, gain : float
        State of the season; factor common to both bands.
    noise : tuple of float
        Standard deviations of NDVI, and of brightness relative to itself.
    encode : tuple of float
        Stored value = reflectance * encode[0] + encode[1].
    key : numpy.uint64
        Seed of the pixel noise.
    red, nir, classes : numpy.ndarray
        Filled.
    """
    height, width = classes.shape
    # The sum of two uniform 16-bit numbers has a standard deviation of 65535 / sqrt(6).
    unit = np.sqrt(6.0) / 65535.0
    for i in range(height):
        li = i // STEP
        ti = (i - li * STEP) / STEP
        wi = i / WEATHER_STEP
        for j in range(width):
            lj = j // STEP
            tj = (j - lj * STEP) / STEP
            left = lattice[li, lj, 0] * (1 - ti) + lattice[li + 1, lj, 0] * ti
            right = lattice[li, lj + 1, 0] * (1 - ti) + lattice[li + 1, lj + 1, 0] * ti
            x = left * (1 - tj) + right * tj
            left = lattice[li, lj, 1] * (1 - ti) + lattice[li + 1, lj, 1] * ti
            right = lattice[li, lj + 1, 1] * (1 - ti) + lattice[li + 1, lj + 1, 1] * ti
            y = left * (1 - tj) + right * tj
            u, v = x * to_uv[0] + to_uv[1], y * to_uv[0] + to_uv[1]
            if edge[0] * u + edge[1] * v > edge[2]:
                classes[i, j] = FILL
                red[i, j] = 0
                nir[i, j] = 0
                continue
            y = min(max(y, 0.0), fields.shape[0] - 1.001)
            x = min(max(x, 0.0), fields.shape[1] - 1.001)
            p, q = int(y), int(x)
            t, s = np.float32(y - p), np.float32(x - q)
            one = np.float32(1)
            w00, w01 = (one - t) * (one - s), (one - t) * s
            w10, w11 = t * (one - s), t * s
            peak = (
                w00 * fields[p, q, 0]
                + w01 * fields[p, q + 1, 0]
                + w10 * fields[p + 1, q, 0]
                + w11 * fields[p + 1, q + 1, 0]
            )
            winter = (
                w00 * fields[p, q, 1]
                + w01 * fields[p, q + 1, 1]
                + w10 * fields[p + 1, q, 1]
                + w11 * fields[p + 1, q + 1, 1]
            )
            total = (
                w00 * fields[p, q, 2]
                + w01 * fields[p, q + 1, 2]
                + w10 * fields[p + 1, q, 2]
                + w11 * fields[p + 1, q + 1, 2]
            )
            bits = _hash(key + np.uint64(i * width + j) * np.uint64(0x9E3779B97F4A7C15))
            mask = np.uint64(0xFFFF)
            first = float(bits & mask) + float((bits >> np.uint64(16)) & mask) - 65535.0
            second = (
                float((bits >> np.uint64(32)) & mask) + float((bits >> np.uint64(48)) & mask)
            ) - 65535.0
            ndvi = winter + (peak - winter) * greenness + first * unit * noise[0]
            total = total * gain * (1 + second * unit * noise[1])
            r, n = 0.5 * total * (1 - ndvi), 0.5 * total * (1 + ndvi)
            label = WATER if peak < 0 else (VEGETATION if ndvi > 0.3 else LAND)

            wj = j / WEATHER_STEP
            shade = _sample(
                cloud,
                wi - displacement[0] / WEATHER_STEP,
                wj - displacement[1] / WEATHER_STEP,
            )
            if shade > 0:
                # Shaded red falls more than shaded NIR: an unmasked shadow would look greener.
                depth = _ramp(shade, margins[0])
                r *= 1 - 0.84 * depth
                n *= 1 - 0.58 * depth
                label = SHADOW_DEEP if bits >> np.uint64(61) == np.uint64(0) else SHADOW
            white = _sample(snow, wi, wj)
            if white > 0:
                depth = _ramp(white, margins[1])
                r += (0.62 - r) * depth
                n += (0.58 - n) * depth
                label = SNOW
            thick = _sample(cloud, wi, wj)
            if thick > 0:
                depth = _ramp(thick, margins[0])
                r += (0.52 + 0.08 * total - r) * depth
                n += (0.55 + 0.08 * total - n) * depth
                label = CLOUD if thick > margins[0] else RIM
            classes[i, j] = label
            red[i, j] = np.uint16(min(65535.0, max(1.0, r * encode[0] + encode[1] + 0.5)))
            nir[i, j] = np.uint16(min(65535.0, max(1.0, n * encode[0] + encode[1] + 0.5)))
