"""Vary a page as another scanner, camera or cropping would, before it is prepared for the network."""

import random

from PIL import Image, ImageEnhance, ImageFilter, ImageStat

_ROTATION_DEGREES = 2.0
_CROP_SHARE = 0.06
_BRIGHTNESS = (0.75, 1.2)
_CONTRAST = (0.7, 1.3)
_SATURATION = (0.0, 1.3)
_BLUR_PIXELS = 1.0
_LOWEST_SCALE = 0.6


def augment(image: Image.Image, chance: random.Random) -> Image.Image:
    """A variation of `image` (RGB): crop, rotation, resolution, blur, brightness, contrast and colour, all by `chance`."""
    varied = _rotate(_crop(image, chance), chance)
    varied = _lower_resolution(varied, chance)
    if chance.random() < 0.5:
        varied = varied.filter(ImageFilter.GaussianBlur(chance.uniform(0, _BLUR_PIXELS)))
    varied = ImageEnhance.Brightness(varied).enhance(chance.uniform(*_BRIGHTNESS))
    varied = ImageEnhance.Contrast(varied).enhance(chance.uniform(*_CONTRAST))
    return ImageEnhance.Color(varied).enhance(chance.uniform(*_SATURATION))


def _crop(image: Image.Image, chance: random.Random) -> Image.Image:
    width, height = image.size
    left, right = (int(width * chance.uniform(0, _CROP_SHARE)) for _ in range(2))
    top, bottom = (int(height * chance.uniform(0, _CROP_SHARE)) for _ in range(2))
    return image.crop((left, top, width - right, height - bottom))


def _rotate(image: Image.Image, chance: random.Random) -> Image.Image:
    paper = tuple(int(value) for value in ImageStat.Stat(image).median)
    degrees = chance.uniform(-_ROTATION_DEGREES, _ROTATION_DEGREES)
    return image.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=paper)


def _lower_resolution(image: Image.Image, chance: random.Random) -> Image.Image:
    scale = chance.uniform(_LOWEST_SCALE, 1.0)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BILINEAR)
