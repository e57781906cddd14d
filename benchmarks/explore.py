"""How long the explorer takes from a moved slider to a new picture.

    python benchmarks/explore.py

Wall time grows with what else the machine does; CPU time does less so.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

from natlib.cost import CostTable
from natlib.space import SearchSpace
from natlib.teach.explorer import ObjectiveExplorer
from natlib.teach.plots import picture


def make_archive(space: SearchSpace, n_objectives: int, n: int = 400) -> pd.DataFrame:
    """Returns an archive whose errors fall with MAdds, with noise."""
    rng = np.random.default_rng(0)
    X, costs = space.sample(n, rng), CostTable(space, 10)
    madds = costs.madds(X)
    columns = {"architecture": [str(space.decode(x)) for x in X], "madds": madds}
    for i in range(n_objectives - 1):
        noise = rng.normal(0, 2, n)
        columns[f"top1_err_task{i}"] = 5 + 30 * np.exp(-madds / madds.mean()) + noise
    return pd.DataFrame(columns)


def measure(explorer: ObjectiveExplorer, moves: int = 21) -> dict[str, float]:
    """Moves a weight and renders the picture again and again: median milliseconds, and its size."""
    times = []
    for weight in np.linspace(0, 1, moves):
        begin = time.perf_counter(), time.process_time()
        explorer.weights["madds"].value = weight
        data, _ = picture(explorer.figure, explorer.alt)
        times.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
    wall, cpu = 1000 * np.median(times[1:], axis=0)
    return {"wall_ms": wall, "cpu_ms": cpu, "png_kb": len(data["image/png"]) * 0.75e-3}


def main() -> None:
    """Prints a row for each space and number of objectives."""
    rows = [
        {"space": space.name, "objectives": n, **measure(ObjectiveExplorer(make_archive(space, n)))}
        for space in (SearchSpace.pocket(), SearchSpace.paper())
        for n in (2, 3, 12)
    ]
    print(pd.DataFrame(rows).round().to_string(index=False))


if __name__ == "__main__":
    main()
