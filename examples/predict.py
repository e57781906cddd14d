"""Classifies pictures with a network that natlib exported; the file is all it needs.

    python predict.py network.onnx picture.png [more pictures]

Needs numpy, pillow and onnxruntime, not natlib. A picture is read as those were that the network
was trained on: `to_bytes` and `read_square` are the functions of natlib/inputs/pictures.py, and the
file holds their recipe.
"""

import json
import sys
import time

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Scales grey values to uint8: floats up to 1, or numbers of 8, 10, 12, 14 or 16 bits."""
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "f" and -0.1 <= low and high <= 1.5:  # some filters overshoot
        return np.round(255 * values.clip(0, 1)).astype(np.uint8)
    if not 0 <= low <= high < 2**16:  # nor is any of this true of NaN
        raise ValueError(f"values from {low:g} to {high:g} are of no known scale")
    bits = next(bits for bits in (8, 10, 12, 14, 16) if high < 2**bits)
    return (values / 2 ** (bits - 8)).astype(np.uint8)


def read_square(image: Image.Image, side: int, reading: dict) -> np.ndarray:
    """Returns the middle square in RGB, uint8 `(side, side, 3)`, as the recipe `reading` says."""
    deep = any(";16" in str(tile) for tile in getattr(image, "tile", ()))
    image.draft("RGB", (2 * side, 2 * side))  # decodes less of a large JPEG
    image = ImageOps.exif_transpose(image)
    if image.mode[0] in "IF":  # one channel of integers or floats
        image = Image.fromarray(to_bytes(np.asarray(image)))
    elif deep and 0 < np.max(image.getextrema()) < 16:  # of 16 bits Pillow keeps the upper 8
        raise ValueError("of 16 bits a colour at most 12 are used: convert it to 8 bits")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        under = Image.new("RGBA", image.size, reading["background"])
        image = Image.alpha_composite(under, image)
    how = Image.Resampling[reading["resampling"]]
    return np.array(ImageOps.fit(image.convert("RGB"), (side, side), how, 0, reading["centre"]))


def to_input(picture: str, about: dict) -> np.ndarray:
    """Reads a picture and returns what the network takes, float32 `(1, 3, height, width)`."""
    with Image.open(picture) as image:
        square = read_square(image, about["reading"]["side"], about["reading"])
    size, left = about["input_size"][:0:-1], round(len(square) * (1 - about["reading"]["crop"]) / 2)
    square = square[left : len(square) - left, left : len(square) - left]
    channels = [Image.fromarray(square[:, :, c].astype(np.float32)) for c in range(3)]
    pixels = np.stack([c.resize(size, Image.Resampling.BILINEAR) for c in channels], axis=-1)
    x = (pixels / 255 - about["mean"]) / about["std"]
    return x.astype(np.float32).transpose(2, 0, 1)[None]


def main(network: str, *pictures: str) -> int:
    """Prints the three likeliest classes of each picture, and the time the network took."""
    sys.stdout.reconfigure(errors="replace")  # a console may lack letters of a class
    try:
        session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
        texts = session.get_modelmeta().custom_metadata_map
        about = {key: json.loads(text) for key, text in texts.items()}
        {about[key] is None for key in ("classes", "reading", "input_size", "mean", "std")}
    except Exception as error:  # damaged files fail in many ways
        sys.exit(f"{network} cannot be used ({error!r}): export the network again.")
    broken = 0
    for picture in pictures:
        try:
            x = to_input(picture, about)
        except Exception as error:  # as above
            print(f"{picture} cannot be read and is left out: {error}", file=sys.stderr)
            broken += 1
            continue
        begin = time.perf_counter()
        logits = session.run(None, {"images": x})[0][0]
        milliseconds = 1000 * (time.perf_counter() - begin)
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        best = ", ".join(f"{about['classes'][i]} {shares[i]:.0%}" for i in (-shares).argsort()[:3])
        print(f"{picture}: {best} ({milliseconds:.1f} ms)")
    return int(broken > 0)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("Give a network and at least one picture: predict.py network.onnx picture.png")
    sys.exit(main(*sys.argv[1:]))
