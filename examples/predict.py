"""Classifies pictures with a network that natlib exported; the file is all it needs.

    python predict.py network.onnx picture.png [more pictures]

Needs numpy, pillow and onnxruntime, not natlib.
"""

import json
import sys
import time

import numpy as np
import onnxruntime
from PIL import Image


def main(network: str, *pictures: str) -> None:
    """Prints the three likeliest classes of each picture, and the time the network took."""
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    texts = session.get_modelmeta().custom_metadata_map
    about = {key: json.loads(text) for key, text in texts.items()}
    _, height, width = about["input_size"]
    for picture in pictures:
        image = Image.open(picture).convert("RGB")
        pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR)) / 255
        x = ((pixels - about["mean"]) / about["std"]).astype(np.float32).transpose(2, 0, 1)[None]
        begin = time.perf_counter()
        logits = session.run(None, {"images": x})[0][0]
        milliseconds = 1000 * (time.perf_counter() - begin)
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        best = ", ".join(f"{about['classes'][i]} {shares[i]:.0%}" for i in (-shares).argsort()[:3])
        print(f"{picture}: {best} ({milliseconds:.1f} ms)")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("Give a network and at least one picture: predict.py network.onnx picture.png")
    main(*sys.argv[1:])
