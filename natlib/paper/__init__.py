"""The paper's reproduction: its data sets, results and networks, official weights, joined tasks."""

from natlib.paper.checkpoints import load_ofa, load_published
from natlib.paper.datasets import dataset_task, overview, status
from natlib.paper.reproduce import reproduce

__all__ = ["dataset_task", "load_ofa", "load_published", "overview", "reproduce", "status"]
