"""Planes: one float per pixel, and the few operations on them that writing and ageing share."""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Plane = npt.NDArray[np.float32]
Shape = tuple[int, int]


def noise(rng: np.random.Generator, shape: Shape, cell: float | tuple[float, float]) -> Plane:
    """Noise around zero with a spread of about one, which changes over about `cell` (height, width) pixels."""
    cells = cell if isinstance(cell, tuple) else (cell, cell)
    rows, columns = (math.ceil(side / size) + 2 for side, size in zip(shape, cells, strict=True))
    grid = rng.standard_normal((rows, columns), dtype=np.float32)
    return resize(grid, shape, Image.Resampling.BICUBIC)


def resize(plane: Plane, shape: Shape, how: Image.Resampling = Image.Resampling.BOX) -> Plane:
    """Scale a plane to `shape` (height, width)."""
    return np.asarray(Image.fromarray(plane).resize((shape[1], shape[0]), how), dtype=np.float32)


def blur(plane: Plane, radius: float) -> Plane:
    """Blur a plane of values between 0 and 1; 8 bits are enough for that."""
    image = Image.fromarray(np.clip(plane * 255, 0, 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32) / np.float32(255)


def warp(plane: Plane, dy: Plane, dx: Plane) -> Plane:
    """Fetch each pixel from `dy` below and `dx` to the right of it, between pixels where need be; outside lies 0."""
    height, width = plane.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = np.clip(y + dy + 1, 0, height), np.clip(x + dx + 1, 0, width)
    top, left = y.astype(np.intp), x.astype(np.intp)
    down, across = y - top, x - left
    padded = np.pad(plane, ((1, 2), (1, 2)))
    upper = padded[top, left] * (1 - across) + padded[top, left + 1] * across
    lower = padded[top + 1, left] * (1 - across) + padded[top + 1, left + 1] * across
    return np.asarray(upper * (1 - down) + lower * down, dtype=np.float32)
