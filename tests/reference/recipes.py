"""Reference numbers for tests/recipes.rs: what torchvision, Pillow and torch make of pictures.

    python tests/reference/recipes.py ../shared/data > tests/reference/recipes.json

Made with torch 2.7.1, torchvision and Pillow. Every entry holds shares of white (0 to 1) at fixed places of the model's
input, before mean and standard deviation: `out[channel, 0, i * 1237 % (h * w)]` for i in 0..96, flattened row by row.
"""

import json
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torchvision.transforms import InterpolationMode as Mode
from torchvision.transforms import v2

SHARED = sys.argv[1]
SIZE = 224
POINTS = 96


def made(width, height):
    """The same picture as in the test: edges, ramps and fine texture, in whole numbers."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    v = (x * x * 3 + y * 5 + (x * y) // 7 + 31 * ((x // 9 + y // 11) % 5)) % 256
    return Image.fromarray(v.astype(np.uint8))


def points(share):
    flat = np.asarray(share, dtype=np.float64).reshape(-1)
    return [round(float(flat[i * 1237 % flat.size]), 5) for i in range(POINTS)]


def tensor(picture):
    array = np.asarray(picture, dtype=np.float32)
    array = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return torch.from_numpy(array / np.float32(255.0))


def crop(picture, resize, mode):
    """torchvision's evaluation transform, on a Pillow picture (8 bits all the way) and on floats."""
    steps = [v2.Resize(resize, interpolation=mode, antialias=True), v2.CenterCrop(SIZE)]
    transform = v2.Compose(steps)
    eight = tensor(transform(picture))
    # Pillow ends at black and white; so does the recipe.
    floats = transform(tensor(picture)).clamp(0, 1)
    return eight, floats


def stretch(picture, mode, name):
    eight = tensor(picture.resize((SIZE, SIZE), mode))
    floats = F.interpolate(tensor(picture)[None], size=(SIZE, SIZE), mode=name, antialias=True)[0]
    return eight, floats.clamp(0, 1)


def square(picture):
    """TorchXRayVision: XRayCenterCrop, then the resize in front of its networks (antialiased bilinear)."""
    array = tensor(picture)[:1]
    _, y, x = array.shape
    side = min(y, x)
    left, top = x // 2 - side // 2, y // 2 - side // 2
    cut = array[:, top : top + side, left : left + side]
    return F.interpolate(cut[None], size=(SIZE, SIZE), mode="bilinear", antialias=True)[0]


def entries(name, picture):
    channels = 1 if picture.mode == "L" else 3
    for resize in (256, math.floor(SIZE / 0.95)):
        for mode, word in ((Mode.BILINEAR, "bilinear"), (Mode.BICUBIC, "bicubic")):
            eight, floats = crop(picture, resize, mode)
            yield dict(picture=name, fit="center-crop", resize=resize, filter=word, channels=channels,
                       pillow=points(eight[0]), torch=points(floats[0]))
    for mode, word in ((Image.BILINEAR, "bilinear"), (Image.BICUBIC, "bicubic")):
        eight, floats = stretch(picture, mode, word)
        yield dict(picture=name, fit="stretch", filter=word, channels=channels,
                   pillow=points(eight[0]), torch=points(floats[0]))
    if channels == 1:
        yield dict(picture=name, fit="square-crop", filter="bilinear", channels=1, torch=points(square(picture)[0]))


def main():
    out = []
    for width, height in ((301, 217), (180, 333), (640, 480), (224, 224)):
        out += entries(f"made {width} {height}", made(width, height))
    for path in ("nih/bbox_full/00000150_002.png", "nih/bbox_full/00010277_000.png", "covid/lesion_masks/ARDSSevere.png"):
        picture = Image.open(f"{SHARED}/{path}")
        picture = picture.convert("L" if picture.mode in ("L", "LA", "P") else "RGB")
        out += entries(path, picture)
    print("[\n" + ",\n".join(json.dumps(entry) for entry in out) + "\n]")


main()
