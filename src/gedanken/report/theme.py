"""Theme: one set of colours, light and dark, for the page (CSS variables) and the charts (Vega configuration).

Categories are Okabe and Ito's colour-blind-safe hues [@okabe2008color], darkened for paper and lightened for a dark
ground until each keeps 3:1 against its card (WCAG 2.1, 1.4.11); text keeps 4.5:1 (1.4.3). Tests hold them to it.
"""

from types import MappingProxyType

FONT = '-apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'

PALETTES = MappingProxyType(
    {
        "light": {
            "paper": "#f6f5f1",
            "card": "#ffffff",
            "ink": "#16191d",
            "muted": "#5a626c",
            "line": "#dedbd3",
            "accent": "#00629b",
            "null": "#737a84",
            "good": "#00734f",
            "bad": "#b04400",
            "category": ["#00629b", "#c24e00", "#00805d", "#a8467f", "#9a6a00", "#2a86bd", "#5f4bb6", "#5a626c"],
            "ramp": ["#a3cae4", "#6fadd4", "#3f8dbd", "#1a6ca3", "#004b7d", "#002746"],
            "diverging": ["#003f6b", "#2f7fb5", "#9cc5e0", "#efede7", "#f3b27e", "#cf661a", "#7d3000"],
        },
        "dark": {
            "paper": "#0e1216",
            "card": "#161b21",
            "ink": "#eceef0",
            "muted": "#a7b0ba",
            "line": "#2d353e",
            "accent": "#6dbdf2",
            "null": "#98a1ab",
            "good": "#45cfa3",
            "bad": "#f59355",
            "category": ["#6dbdf2", "#f59355", "#45cfa3", "#e59ac6", "#e8bd4a", "#9fd3f7", "#b3a4f5", "#a7b0ba"],
            "ramp": ["#24608c", "#2f7fb5", "#4f9ccd", "#76b8e2", "#a9d5f3", "#e3f2fc"],
            "diverging": ["#bfe3fb", "#5fa8d8", "#27587d", "#2a3037", "#8a4a1b", "#dd7f37", "#ffd0a6"],
        },
    }
)


def css_variables(theme: str) -> str:
    """The palette's single colours as CSS custom properties."""
    return " ".join(f"--{name}: {value};" for name, value in PALETTES[theme].items() if isinstance(value, str))


def vega_config(theme: str) -> dict:
    """The Vega-Lite configuration of a theme. Charts name styles and ranges, never colours."""
    c = PALETTES[theme]
    text = {"font": FONT, "color": c["ink"]}
    return {
        "background": None,
        "font": FONT,
        "view": {"stroke": None},
        "range": {key: c[key] for key in ("category", "ramp", "diverging")} | {"heatmap": c["ramp"]},
        "axis": {
            "labelColor": c["muted"],
            "titleColor": c["muted"],
            "labelFontSize": 12,
            "titleFontSize": 13,
            "titleFontWeight": "normal",
            "titlePadding": 8,
            "labelPadding": 5,
            "gridColor": c["line"],
            "gridOpacity": 0.7,
            "domainColor": c["line"],
            "tickColor": c["line"],
            "tickCount": 5,
            "labelOverlap": "greedy",
            "labelSeparation": 4,
        },
        "axisX": {"grid": False},
        "axisBand": {"grid": False, "domain": False, "ticks": False},
        "header": {
            "labelColor": c["ink"],
            "labelFontSize": 13,
            "labelFontWeight": 600,
            "title": None,
            "labelPadding": 6,
        },
        "legend": {
            "labelColor": c["ink"],
            "titleColor": c["muted"],
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "gradientThickness": 10,
            "labelLimit": 260,
            "titleLimit": 320,
            "symbolStrokeWidth": 2.5,
        },
        "style": {
            "measured": {"color": c["category"][0], "strokeWidth": 2},
            "measured-area": {"color": c["category"][0], "fillOpacity": 0.28},
            "measured-point": {"color": c["category"][0], "size": 34},
            "error": {"color": c["category"][0], "strokeWidth": 1.5, "opacity": 0.65},
            "null-band": {"color": c["null"], "fillOpacity": 0.32},
            "null-line": {"color": c["null"], "strokeWidth": 1.5, "strokeDash": [4, 3]},
            "law": {"color": c["category"][1], "strokeWidth": 2.25},
            "law-band": {"color": c["category"][1], "fillOpacity": 0.22},
            "globe": {"color": c["paper"], "stroke": c["line"], "strokeWidth": 1},
            "graticule": {"color": c["line"], "strokeWidth": 0.75},
            "mark-rule": {"color": c["ink"], "strokeWidth": 1.5},
            "label": {**text, "fontSize": 13, "align": "left", "baseline": "middle"},
            "label-cell": {**text, "align": "center", "baseline": "middle"},
            "label-cell-end": {**text, "color": c["card"], "align": "center", "baseline": "middle"},
            "label-muted": {"font": FONT, "color": c["muted"], "fontSize": 12, "align": "left", "baseline": "middle"},
        },
    }
