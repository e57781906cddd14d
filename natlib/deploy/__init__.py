"""Taking a network home: its latency, fine-tuning it alone, one file that holds it."""

from natlib.deploy.export import export, load
from natlib.deploy.finetune import finetune
from natlib.deploy.latency import LatencyTable, for_run, measure_in_turn

__all__ = ["LatencyTable", "export", "finetune", "for_run", "load", "measure_in_turn"]
