"""The command line: `python -m natlib COMMAND`; `--help` after a command explains it."""

import argparse
import re
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

EXPECTED = (ValueError, OSError, RuntimeError, FloatingPointError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; an error becomes one sentence."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):  # a console may lack some letters
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    parser = argparse.ArgumentParser(prog="python -m natlib", description=__doc__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (text, _) in COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    command = parser.parse_args(arguments[:1]).command
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return COMMANDS[command][1](arguments[1:]) or 0
    except EXPECTED as error:
        raise SystemExit(str(error)) from None
    except ImportError as error:
        advice = "choose the environment of the course, which README.md tells how to make"
        raise SystemExit(f"{sys.executable} lacks a package ({error}): {advice}.") from None
    except KeyboardInterrupt:
        raise SystemExit("Interrupted: the same command goes on from here.") from None


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def run_transfer(arguments: Sequence[str]) -> None:
    """Transfers a pre-trained supernet to a task.

    Searches subnets that trade accuracy off against cost, and adapts the weights to them. Interrupt
    it whenever you like: the same command goes on where it stopped.
    """
    from natlib.data import load_task, write_text
    from natlib.deploy.export import take_home
    from natlib.inputs import demand
    from natlib.inputs.checks import is_one_of
    from natlib.inputs.processes import connect, rank
    from natlib.paper.datasets import DATA_SETS, dataset_task
    from natlib.profiles import get_profile
    from natlib.space import SearchSpace
    from natlib.teach.estimate import memory_gb, outlook
    from natlib.transfer import CHECKPOINT, report, side_of, start, transfer

    options = vars(transfer_parser().parse_args(arguments))
    limits = [parse_limit(text) for text in options.pop("limit")]
    options["limits"] = dict(limits)
    demand(len(limits) == len(options["limits"]), "settings.limits", limits=limits)
    name, run_dir, profile = options.pop("task"), options["run_dir"], options["profile"]
    connect()
    settings = get_profile(profile)
    side = side_of(settings, getattr(SearchSpace, settings.space)())
    task = (dataset_task if is_one_of(name, DATA_SETS) else load_task)(name, side=side)
    if "latency_ms" in options["objectives"]:
        from natlib.deploy.latency import for_run

        chosen = {name: options[name] for name in ("profile", "supernet", "device")}
        latencies = for_run(start(task, **chosen).net, run_dir)  # the folder's, or measured now
        options["costs"] = {"latency_ms": latencies.latency_ms}
    if not (run_dir / CHECKPOINT).exists():
        outlook(start(task, **{k: v for k, v in options.items() if k != "run_dir"}))
    run = transfer(task, **options)
    networks = report(run)
    if rank() == 0:
        write_text(run_dir / "report.csv", networks.to_csv(index=False))
        print(networks.round(2).to_string(index=False))
        names = ", ".join(path.name for path in take_home(run, networks))
        print(f"Results in {run_dir}: front.csv, archive.csv, history.csv, report.csv, {names}.")
        print(f"Memory at most: {memory_gb(run):.1f} GB.")


def transfer_parser() -> argparse.ArgumentParser:
    """Returns the parser of `python -m natlib transfer`."""
    from natlib.data import TARGETS
    from natlib.profiles import PROFILES
    from natlib.transfer import MODES

    parser = argparse.ArgumentParser("python -m natlib transfer", description=run_transfer.__doc__)
    add = parser.add_argument
    add("--task", required=True, help=f"the target task: {', '.join(TARGETS)}, a data set of "
        "the paper such as cifar10, or a folder that holds one of pictures per class")  # fmt: skip
    add("--profile", choices=PROFILES, help="how much to compute; default: quick, or what the "
        "environment variable NATLIB_PROFILE says")  # fmt: skip
    add("--run-dir", required=True, type=Path, help="folder for results; made if it is missing")
    add("--mode", choices=MODES, default="distribution", help="which subnets adaptation trains: "
        "drawn from the distribution of the best (default), uniform, or none at all")  # fmt: skip
    add("--objectives", nargs="+", default=["top1_err", "madds"], metavar="NAME",
        help="what to minimise: top1_err and any of madds, params, latency_ms")  # fmt: skip
    add("--limit", action="append", default=[], metavar="NAME=VALUE",
        help="upper bound of an objective, such as madds=2e6; may be repeated")  # fmt: skip
    add("--seed", type=int, default=0, help="seed of everything random (default: 0)")
    add("--supernet", type=Path, help="file of a pre-trained supernet; default: the profile's")
    add("--device", help="cuda, mps or cpu; default: the best there is")
    return parser


def parse_limit(text: str) -> tuple[str, float]:
    """Reads a limit such as `madds=2e6`, or `2,5e6`; not `1,000`, which could be two numbers."""
    from natlib.inputs import demand

    name, _, value = map(str.strip, text.partition("="))
    fine = re.fullmatch(r"(?!\d{1,3},\d{3}$)\d*[.,]?\d*(e[+-]?\d+)?", value, re.IGNORECASE)
    demand(fine and value, "settings.limit_form", text=text)
    return name, float(value.replace(",", "."))


def main_of(module: str) -> Callable[[Sequence[str]], int | None]:
    """Returns the command that the `main` of a module is, which is imported when it is called."""

    def run(arguments: Sequence[str]) -> int | None:
        from natlib import PROJECT

        if not (PROJECT / f"{module.replace('.', '/')}.py").exists():
            place = f"natlib was installed to {PROJECT}, without the notebooks"
            advice = "run 'python -m pip install --editable .' in the project's folder"
            raise FileNotFoundError(f"{place}: {advice}.")
        sys.path.insert(0, str(PROJECT))
        return import_module(module).main(arguments)

    return run


def run_explore(arguments: Sequence[str]) -> None:
    """Writes one HTML file, to mail or publish, in which to weigh and limit objectives."""
    parser = argparse.ArgumentParser("python -m natlib explore", description=run_explore.__doc__)
    add = parser.add_argument
    add("archive", metavar="ARCHIVE", help="a run folder, or a CSV file with architectures")
    add("--out", required=True, type=Path, metavar="FILE.html", help="the file to write")
    add("--objectives", nargs="+", metavar="NAME", help="columns; default: all that are known")
    add("--pictures", type=int, default=0, help="how many pictures errors were measured on; with "
        "it the page says how sure a choice is")  # fmt: skip
    options = parser.parse_args(arguments)
    from natlib.data import write_text
    from natlib.teach.explorer import ObjectiveExplorer

    names, pictures = options.objectives, options.pictures
    explorer = ObjectiveExplorer(options.archive, objectives=names, pictures=pictures)
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head += '<meta name="color-scheme" content="light dark"><title>Objective explorer</title>'
    write_text(options.out, f'<!doctype html><html lang="en">{head}{explorer.html()}</html>')
    print(f"{options.out}: {len(explorer.table)} architectures, {len(explorer.labels)} objectives")


def run_check(arguments: Sequence[str]) -> int:
    """Looks whether this machine is ready."""
    from natlib import check

    argparse.ArgumentParser(prog="python -m natlib check").parse_args(arguments)
    table = check()
    print(table.to_string())
    return int(not table.ok.all())


COMMANDS: dict[str, tuple[str, Callable[[Sequence[str]], int | None]]] = {
    "transfer": ("transfer a supernet to a task", run_transfer),
    "reproduce": ("transfer to the data sets of the paper", main_of("natlib.paper.reproduce")),
    "estimate": ("predict how many hours that takes here", main_of("natlib.teach.estimate")),
    "data": ("download data sets, and say which are there", main_of("natlib.paper.datasets")),
    "rehearse": ("write a miniature of each, to rehearse with", main_of("natlib.paper.miniatures")),
    "explore": ("write an archive as one HTML file to choose in", run_explore),
    "challenge": ("rank what a class found", main_of("notebooks.challenge")),
    "exam": ("write an exam with other numbers than the quiz", main_of("notebooks.exam")),
    "notebooks": ("execute the notebooks; copies go to build/", main_of("notebooks.execute")),
    "handout": ("make a folder for a class, without the solutions", main_of("notebooks.handout")),
    "grade": ("grade what learners hand in", main_of("notebooks.grade")),
    "check": ("look whether this machine is ready for the course", run_check),
}

if __name__ == "__main__":
    sys.exit(main())
