"""scan: a model's weights, or what it shows on a text, by every instrument that reads them. compare: what tuning changed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from gedanken.experiment.loop import Outcome, run
from gedanken.experiment.plan import DRAWS, Plan, standard_instruments
from gedanken.instruments.spectrum.tail_goodness import TailGoodness
from gedanken.instruments.stream.parallel_edge import ParallelEdge
from gedanken.measurements.store import Lab
from gedanken.sources.base import Source
from gedanken.sources.change import ChangeSource
from gedanken.sources.models import open_model
from gedanken.sources.running import RunningSource
from gedanken.status import Progress


def scan_plan(
    *,
    instruments: Iterable[str] = (),
    sites: Iterable[str] = (),
    products: Iterable[str] = (),
    draws: int = DRAWS,
    nulls: bool = False,
    bootstrap: int = 0,
) -> Plan:
    """The plan of a scan. `draws` of each null; `nulls` adds those that need the data, with them the edges of surrogates
    unless instruments are named; `bootstrap` the p of tail fits from so many draws."""
    instruments = tuple(instruments)
    found = standard_instruments(instruments)
    if nulls and not instruments:
        found = (*found, *ParallelEdge.standard())
    if bootstrap:
        found = (*found, TailGoodness(bootstrap=bootstrap))
    return Plan(found, tuple(sites), tuple(products), draws, draws if nulls else 0)


def scan(
    model: Any,
    lab: Lab | str = "lab",
    *,
    text: Any = None,
    run_name: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    executor=None,
    running: Mapping[str, Any] = MappingProxyType({}),
    **plan: Any,
) -> Outcome:
    """Measure a model's weights and embeddings into a lab, or with a text what the model shows when it reads it.

    model: hub id (`org/name@revision`), folder or file, glob of checkpoints, live module, dict of arrays, or a Source.
    text: a path, `stdlib`, `logic`, documents, or token sequences; running: `prompts`, `context`, `device`, `dtype`,
    `batch` (sources/running.py) and `tokenizer`. plan: keywords of `scan_plan`; with a text, `nulls` also runs the model
    on shuffled and resampled tokens and with random weights. Raises Failure if the model cannot be opened or the lab not
    be written.
    """
    lab = lab if isinstance(lab, Lab) else Lab(lab)
    found = scan_plan(**plan)
    outcome = Outcome()
    for source in sources_of(model, text, run_name=run_name, nulls=plan.get("nulls", False), **running):
        outcome.add(run(source, plan_for(source, found), lab, threads=threads, progress=progress, executor=executor))
    return outcome


def plan_for(source: Source, plan: Plan) -> Plan:
    """The plan, or of a null run what it needs: it is a null itself, so nothing is shuffled; the edges of surrogates are
    asked for of random weights alone, and there the primary ones suffice."""
    if not isinstance(source, RunningSource) or source.null_of is None:
        return plan
    edges = (ParallelEdge(),) if source.options.null == "random" else ()
    needed = (found for found in plan.instruments if not isinstance(found, ParallelEdge) or found in edges)
    return replace(plan, instruments=tuple(needed), shuffles=0)


def sources_of(
    model: Any, text: Any = None, *, run_name: str | None = None, nulls: bool = False, **running: Any
) -> list[Source]:
    """What a scan measures: the model, or the model on a text, with `nulls` followed by its null runs."""
    if text is None:
        return [open_model(model, run=run_name)]
    first = RunningSource.of(model, text, run=run_name, **running)
    return [first, *first.nulls()] if nulls else [first]


@dataclass(frozen=True)
class Comparison:
    """Names of the runs that `compare` measured; `base` and `tuned` stand in the lab unless the latter is an adapter."""

    base: str
    tuned: str
    change: str
    unshared: tuple[str, ...]
    both_measured: bool


def compare(
    base: Any,
    tuned: Any,
    lab: Lab | str = "lab",
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    **plan: Any,
) -> Comparison:
    """Measure two models and their difference ΔW = tuned − base. An adapter is its own ΔW, and is measured only as that.

    Raises Failure if the two are one, or share no matrix of equal shape.
    """
    lab = lab if isinstance(lab, Lab) else Lab(lab)
    first, second = open_model(base), open_model(tuned)
    change = ChangeSource(first, second)
    sources = [change] if change.of_adapter else [first, second, change]
    for source in sources:
        scan(source, lab, threads=threads, progress=progress, **plan)
    return Comparison(first.run, second.run, change.run, change.unshared, not change.of_adapter)
