"""A network to take home: one file with its weights, architecture, classes and normalisation.

The file is ONNX, which onnxruntime runs on nearly everything, without natlib:
`examples/predict.py` classifies a picture from the file alone. To train it further there is
another, weights as safetensors, which `load_weights` reads.
"""

import copy
import io
import json
import timeit
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from natlib.data import Task, to_input
from natlib.evaluate import recalibrate_on
from natlib.inputs import checks, demand
from natlib.inputs.pictures import READING
from natlib.layers import fold_batch_norm
from natlib.space import SearchSpace
from natlib.supernet import Subnet, load_state
from natlib.transfer import Transfer

TOLERANCE = 1e-4  # difference of logits, as a share of the largest where that is above one


class Exported(NamedTuple):
    """`run` maps float32 images `(n, 3, r, r)` to logits; `about` is the `metadata`."""

    run: Callable[[NDArray], NDArray]
    about: dict


def take_home(run: Transfer, report: pd.DataFrame) -> list[Path]:
    """Writes the networks of a report into the run folder: `NAME.safetensors` and `NAME.onnx`."""
    task, written, space = run.task, [], run.space
    known = {str(space.decode(x)): x for x in run.archive.X}
    for name, text in zip(report.name, report.architecture, strict=True):
        subnet = run.net.extract(space.decode(known[text]))
        recalibrate_on(subnet, task, run.profile.calibration)
        about = {"space": space.to_json(), "encoding": json.dumps(known[text].tolist())}
        about |= {key: json.dumps(value) for key, value in metadata(subnet, task).items()}
        weights = run.run_dir / f"{name}.safetensors"
        with checks.replacing(weights) as temporary:
            state = {key: t.contiguous() for key, t in subnet.state_dict().items()}
            save_file(state, temporary, metadata=about)
        written += [weights, export(subnet, weights.with_suffix(".onnx"), task=task)]
    return written


def load_weights(path: str | Path) -> tuple[Subnet, dict]:
    """Reads a network that `take_home` wrote as safetensors, and its `metadata`."""
    demand(Path(path).is_file(), "export.missing", FileNotFoundError, path=path)
    with safe_open(path, framework="pt") as file:
        state, texts = {k: file.get_tensor(k) for k in file.keys()}, file.metadata() or {}
    demand("architecture" in texts, "export.no_network", path=path)
    space = SearchSpace.from_json(texts.pop("space"))
    about = {key: json.loads(text) for key, text in texts.items()}
    arch = space.decode(np.array(about.pop("encoding")))
    subnet = Subnet(space, arch, len(about["classes"]), random=False)
    load_state(subnet, state, str(path))
    return subnet.eval(), about


def export(subnet: Subnet, path: str | Path, *, task: Task) -> Path:
    """Writes a recalibrated subnet to a file that holds everything needed to use it.

    It takes normalised images, float32 `(n, 3, r, r)`, gives logits `(n, classes)`, and carries
    `metadata`. The file, ending in `.onnx`, is returned; it appears only after its logits were
    compared with the subnet's on validation images of the task: if they differ, that is a
    `RuntimeError`. A `ValueError` says that ending or number of classes do not fit.
    """
    path = Path(path)
    demand(path.suffix == ".onnx", "export.ending", name=path.name)
    n, m = subnet.classifier.out_features, task.num_classes
    demand(n == m, "export.classes", n=n, m=m, task=task.name)
    subnet = copy.deepcopy(subnet).cpu().eval()
    images = to_input(task.valid.images[:8], subnet.arch.resolution, task, crop=task.crop)
    with torch.inference_mode():
        expected = subnet(images).numpy()
    with checks.replacing(path) as temporary:
        _write(fold_batch_norm(subnet), images, metadata(subnet, task), temporary)
        difference = np.abs(load(temporary).run(images.numpy()) - expected).max()
        difference /= max(1.0, np.abs(expected).max())
        differ = {"difference": difference, "most": TOLERANCE}
        demand(difference <= TOLERANCE, "export.differ", RuntimeError, **differ)
    return path


def metadata(subnet: Subnet, task: Task) -> dict:
    """Returns the metadata of an exported network: what must be known to use it.

    `reading` says how a picture becomes a square of `side` pixels, the middle of which, `crop` of
    each side, is scaled to `input_size`.
    """
    side = subnet.arch.resolution
    return {
        "architecture": str(subnet.arch),
        "task": task.name,
        "classes": list(task.classes),
        "reading": READING | {"side": task.valid.images.shape[-1], "crop": task.crop},
        "input_size": [3, side, side],
        "mean": list(task.mean),
        "std": list(task.std),
    }


def load(path: str | Path) -> Exported:
    """Opens a file that `export` wrote, on the CPU, with as many threads as torch uses."""
    demand(Path(path).is_file(), "export.missing", FileNotFoundError, path=path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    texts = session.get_modelmeta().custom_metadata_map
    about = {key: json.loads(text) for key, text in texts.items()}
    return Exported(lambda images: session.run(None, {"images": images})[0], about)


def latency_ms(path: str | Path, repeats: int = 50) -> float:
    """Returns the median milliseconds that an exported network takes for one image."""
    run, about = load(path)
    image = np.zeros((1, *about["input_size"]), dtype=np.float32)
    seconds = timeit.repeat(lambda: run(image), number=1, repeat=repeats + repeats // 10)
    return 1000 * float(np.median(seconds[-repeats:]))


def _write(module: nn.Module, images: Tensor, about: dict, path: Path) -> None:
    buffer, axes = io.BytesIO(), {"images": {0: "n"}, "logits": {0: "n"}}
    names = {"input_names": ["images"], "output_names": ["logits"], "dynamic_axes": axes}
    with warnings.catch_warnings():
        # Torch prefers its newer exporter, which needs two packages more for the same graph.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(module, (images,), buffer, dynamo=False, **names)
    model = onnx.load_from_string(buffer.getvalue())
    onnx.helper.set_model_props(model, {key: json.dumps(value) for key, value in about.items()})
    onnx.save(model, path)
