"""Build: a lab → one HTML file that needs nothing else, written whole or not at all."""

import base64
import hashlib
import os
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import altair as alt
import vl_convert
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from gedanken.analysis.summary import judged, ranked_findings, summarise
from gedanken.analysis.wording import cited
from gedanken.measurements.store import Lab, write_whole
from gedanken.report import tables, theme
from gedanken.report.alarms import alarm_rows, silent_runs
from gedanken.report.data import Data, collect
from gedanken.report.null_runs import LINES
from gedanken.report.packing import pack, safe_json
from gedanken.report.panels import panels
from gedanken.report.panels.base import Panel
from gedanken.report.particles import COLUMNS, FINE
from gedanken.report.tokens import legend, token_views
from gedanken.status import Failure

VALUE_COLUMNS = ["place", "step", "value", "low", "high", "null", "null_low", "null_high", *LINES]
CURVE_COLUMNS = ["site", "step", "n", "x", "y", "low", "high", "null_low", "null_high"]
UNUSUAL_COLUMNS = ["rank", "label", "of", "site", "step", "value", "low", "high", "null", "null_low", "null_high",
                   "ratio", "ratio_low", "ratio_high", "ratio_null_low", "ratio_null_high", "p", "q"]  # fmt: skip

VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
"""The version of Vega-Lite that Altair writes, as vl-convert names it: the page carries the same one."""


def build(lab: Lab, path: str | os.PathLike) -> Path:
    """Write the report of `lab` to `path` and return it.

    Raises Failure if the lab has neither measurements nor verdicts nor ensembles, or if the file cannot be written.
    """
    page = render(lab)
    path = Path(path)
    try:
        write_whole(path, page.encode("utf-8"))
    except OSError as broken:
        raise Failure(f"Could not write {path}: {broken.strerror or broken}.", "gedanken report --out FILE") from broken
    return path


def render(lab: Lab) -> str:
    """The page as a string."""
    if all(table.select("run").head(1).collect().is_empty() for table in (lab.measurements, lab.members)) and (
        lab.verdicts.select("study").head(1).collect().is_empty()
    ):
        raise Failure("The lab has no measurements to report.", try_next="gedanken scan MODEL")
    data = collect(lab)
    shown = panels(data)
    summaries = summarise(lab, judged(lab)) if data.runs else []
    verdicts = tables.verdicts(lab)
    names = data.runs or [study["name"].capitalize() for study in verdicts] or ["Random starts"]
    script, bundle = _asset("script.js"), _bundle()
    return _template().render(
        title=" and ".join(names[:2]) + (" …" if len(names) > 2 else ""),
        headline=[*names[:3], *([f"and {len(names) - 3} more"] if len(names) > 3 else [])],
        measured=bool(data.runs),
        lede=tables.lede(lab, data),
        findings=ranked_findings(lab),
        summaries=[s for s in summaries if s.run in data.runs],
        panels=shown,
        ends=tables.ends(data),
        end_columns=tables.END_COLUMNS,
        verdicts=verdicts,
        token_views=token_views(lab, data),
        token_shades=legend(),
        alarms=alarm_rows(lab, data.runs),
        silent=silent_runs(lab, data.runs),
        refusals=tables.refusals(data),
        provenance=tables.provenance(lab, data),
        settings=lab.settings.sort("instrument", "setting").collect().to_dicts(),
        glossary=tables.glossary(lab),
        left_out=tables.left_out(lab, data),
        version=version("gedanken"),
        policy=_policy(bundle, script),
        style=Markup(_style()),
        data=Markup(safe_json(_payload(lab, data, shown))),
        bundle=Markup(bundle),
        script=Markup(script),
    )


def _payload(lab: Lab, data: Data, shown: list[Panel]) -> dict:
    """What script.js reads: the tables once, and the panels that share them."""
    numbered = tables.numbered_places(data)
    return {
        "runs": data.runs or [""],
        "last": tables.last_steps_of(data),
        "first": tables.opening_choices(data),
        "places": tables.places(numbered),
        "quantities": data.quantities,
        "refused": tables.refused_counts(data),
        "provenance": tables.provenance_lines(lab, data),
        "tables": {
            "values": pack(numbered, VALUE_COLUMNS),
            "curves": pack(tables.one_line_where_equal(data.curves), CURVE_COLUMNS),
            "unusual": pack(data.unusual, UNUSUAL_COLUMNS),
            "pictures": pack(data.pictures, COLUMNS, FINE),
        },
        "panels": [
            asdict(panel)
            | {"references": [cited(key) for key in panel.references], "marks": tables.mark_quantities(panel, data)}
            for panel in shown
        ],
        "config": {name: theme.vega_config(name) for name in theme.PALETTES},
    }


def _style() -> str:
    light, dark = theme.css_variables("light"), theme.css_variables("dark")
    return (
        f":root {{ --font: {theme.FONT}; {light} }}\n:root[data-theme=dark] {{ {dark} color-scheme: dark; }}\n"
        f":root[data-theme=light] {{ color-scheme: light; }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ {dark} }} }}\n{_asset('style.css')}"
    )


def _policy(*scripts: str) -> str:
    """Only the page's own scripts run, and nothing is fetched. Vega compiles its expressions, hence unsafe-eval."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    return f"default-src 'none'; script-src {hashes} 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"


@cache
def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that may stand inside a page."""
    return vl_convert.javascript_bundle(vl_version=VEGA_LITE).replace("</script", "<\\/script")


def _asset(name: str) -> str:
    return files("gedanken.report").joinpath(name).read_text(encoding="utf-8")


def _template():
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_asset("template.html.j2"))
