"""A network to take home: one file with its weights, architecture, classes and normalisation.

Two formats, both read without natlib: ONNX, which onnxruntime runs on nearly everything, and
`torch.export`, which torch runs. `examples/predict.py` classifies a picture from the ONNX file
alone.
"""

from __future__ import annotations

import copy
import io
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from natlib.data import Task, to_input
from natlib.layers import fold_batch_norm
from natlib.supernet import Subnet

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}
TOLERANCE = 1e-4
FloatArray = NDArray[np.float32]


class Exported(NamedTuple):
    """An exported network: `run` maps inputs `(n, 3, r, r)` to logits; `about` describes it."""

    run: Callable[[FloatArray], FloatArray]
    about: dict


def export(subnet: Subnet, path: str | Path, format: str = "onnx", *, task: Task) -> Path:
    """Writes a subnet to a file that holds everything needed to use it.

    The file takes normalised images, float32 `(n, 3, r, r)`, and gives logits `(n, classes)`.
    Its metadata are those of `describe`. It appears only after its logits have been compared with
    the subnet's on validation images.

    Args:
        subnet: The network, with the batch-norm statistics of its task (see
            `natlib.evaluate.recalibrate`). It is left as it is.
        path: The file, ending in `.onnx` or `.pt2`.
        format: `"onnx"` or `"torch"`.
        task: Gives classes, normalisation, and the images of the comparison.

    Returns:
        The path of the file.

    Raises:
        ValueError: If format, ending or number of classes do not fit.
        RuntimeError: If the logits of the file differ from those of the subnet.
    """
    path = Path(path)
    if path.suffix != SUFFIXES.get(format):
        endings = " or ".join(f"'{name}' with a file *{end}" for name, end in SUFFIXES.items())
        raise ValueError(f"Format '{format}' does not go with {path.name}: choose {endings}.")
    if subnet.classifier.out_features != task.num_classes:
        raise ValueError(
            f"The subnet tells {subnet.classifier.out_features} classes apart, task '{task.name}' "
            f"has {task.num_classes}: export it with the task that it was trained on."
        )
    subnet = copy.deepcopy(subnet).cpu().eval()
    images = to_input(task.valid.images[:8], subnet.arch.resolution, task)
    temporary = path.with_name(f"part-{path.name}")
    write = _write_onnx if format == "onnx" else _write_torch
    try:
        write(fold_batch_norm(copy.deepcopy(subnet)), images, describe(subnet, task), temporary)
        check_parity(subnet, images, load(temporary))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def describe(subnet: Subnet, task: Task) -> dict:
    """Returns the metadata of an exported network: what must be known to use it."""
    resolution = subnet.arch.resolution
    return {
        "architecture": str(subnet.arch),
        "task": task.name,
        "classes": list(task.classes),
        "input_size": [3, resolution, resolution],
        "mean": list(task.mean),
        "std": list(task.std),
    }


def check_parity(subnet: nn.Module, images: Tensor, exported: Exported) -> float:
    """Compares the logits of an exported network with those of the module it was made from.

    Returns:
        The largest difference, as a share of the largest logit where that is above one.

    Raises:
        RuntimeError: If it exceeds `TOLERANCE`.
    """
    with torch.inference_mode():
        expected = subnet(images).numpy()
    difference = np.abs(exported.run(images.numpy()) - expected).max()
    difference = float(difference / max(1.0, np.abs(expected).max()))
    if not difference <= TOLERANCE:
        raise RuntimeError(
            f"The exported logits differ from the subnet's by {difference:.2g}, more than "
            f"{TOLERANCE}: nothing was written; try the other format."
        )
    return difference


def load(path: str | Path) -> Exported:
    """Opens a file that `export` wrote, on the CPU, with as many threads as torch uses.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no exported network at {path}.")
    return _load_onnx(path) if path.suffix == SUFFIXES["onnx"] else _load_torch(path)


def latency_ms(path: str | Path, repeats: int = 50) -> float:
    """Measures how long an exported network takes for one image: the median in milliseconds.

    Args:
        path: The file.
        repeats: Number of measurements, after a tenth as many to warm up.
    """
    run, about = load(path)
    image = np.zeros((1, *about["input_size"]), dtype=np.float32)
    seconds = []
    for _ in range(repeats + repeats // 10):
        begin = time.perf_counter()
        run(image)
        seconds.append(time.perf_counter() - begin)
    return 1000 * float(np.median(seconds[-repeats:]))


def _write_onnx(module: nn.Module, images: Tensor, about: dict, path: Path) -> None:
    buffer, names = io.BytesIO(), ["images", "logits"]
    with warnings.catch_warnings():
        # Torch prefers its newer exporter, which needs two packages more for the same graph.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            module,
            (images,),
            buffer,
            dynamo=False,
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes={name: {0: "n"} for name in names},
        )
    model = onnx.load_from_string(buffer.getvalue())
    texts = {key: json.dumps(value) for key, value in about.items()}
    onnx.helper.set_model_props(model, texts)
    onnx.save(model, path)


def _load_onnx(path: Path) -> Exported:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    texts = session.get_modelmeta().custom_metadata_map
    about = {key: json.loads(text) for key, text in texts.items()}
    return Exported(lambda images: session.run(None, {"images": images})[0], about)


def _write_torch(module: nn.Module, images: Tensor, about: dict, path: Path) -> None:
    batch = torch.export.Dim("n", min=1)
    program = torch.export.export(module, (images,), dynamic_shapes=({0: batch},))
    torch.export.save(program, path, extra_files={"about.json": json.dumps(about)})


def _load_torch(path: Path) -> Exported:
    files = {"about.json": ""}
    module = torch.export.load(path, extra_files=files).module()

    @torch.inference_mode()
    def run(images: FloatArray) -> FloatArray:
        return module(torch.from_numpy(images)).numpy()

    return Exported(run, json.loads(files["about.json"]))
