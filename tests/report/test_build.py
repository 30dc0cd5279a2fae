"""The page: whole, small, offline, escaped; and the exports of its charts."""

import re
from html import unescape

import pytest

from gedanken.report.build import build, render
from gedanken.report.data import ANY, collect
from gedanken.report.export import export
from gedanken.report.panels import panels
from gedanken.status import Failure


@pytest.fixture(scope="module")
def data(lab):
    return collect(lab)


def test_the_file_is_whole_and_alone(lab, tmp_path):
    page = build(lab, tmp_path / "out" / "report.html")
    text = page.read_text(encoding="utf-8")
    assert [p.name for p in page.parent.iterdir()] == ["report.html"] and page.stat().st_size < 10e6
    own = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    assert not re.search(r"""(src|href)=["']?(https?:|//)|@import|url\(""", own)
    assert "default-src 'none'" in unescape(own)


def test_a_failed_build_leaves_the_old_page(lab, tmp_path, monkeypatch):
    page = tmp_path / "report.html"
    page.write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(Failure, match="Could not write .*No space left"):
        build(lab, page)
    assert page.read_text() == "old" and list(tmp_path.iterdir()) == [page]


def test_an_empty_lab_is_a_sentence(synthetic):
    with pytest.raises(Failure, match="no measurements"):
        render(synthetic.frames())


def test_hostile_names_are_text(synthetic):
    page = render(synthetic.lab(ladder=0, hostile=True))
    assert "<img src=x" not in page and page.count("<script") == 3 and "&lt;/script&gt;" in page


def test_every_panel_is_complete(data):
    """A unit in brackets on each titled quantitative axis, a question, a caveat; nothing is coloured in a panel."""
    for panel in panels(data):
        assert panel.question.endswith("?") and panel.caveat and panel.legend
        for variants in panel.charts:
            for spec in variants.values():
                text = str(spec)
                assert not re.search(r"#[0-9a-fA-F]{6}", text)
                titles = set(re.findall(r"'title': '([^']*)'", re.sub(r"'tooltip': (\[.*?\]|\{.*?\})", "", text)))
                assert titles and all(t.startswith("@") or t.endswith("]") for t in titles), (panel.id, titles)


def test_quantities_come_from_the_variables_table(data):
    about = data.quantities["stable_rank"]
    assert about["title"] == "stable rank, SR [1]" and about["scale"] == "log" and about["ratio"]
    assert data.quantities["singular_value_density"]["x_title"] == "singular value [weight]"
    assert data.quantities["entry_kurtosis"]["ratio"] is False  # its null is zero


def test_steps_are_thinned_and_runs_keep_order(data):
    assert data.runs == ["SmolLM2-135M", "all-MiniLM-L6-v2", "small-decoder"]
    assert data.unusual.filter(data.unusual["quantity"] == ANY)["rank"].max() == 12


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_charts_export(lab, tmp_path, suffix):
    path = export(lab, "depth", tmp_path / f"depth.{suffix}", quantity="tail_exponent", theme="dark")
    head = path.read_bytes()[:8]
    assert head.startswith(b"<svg" if suffix == "svg" else b"\x89PNG") and path.stat().st_size > 5000


def test_exported_text_is_escaped(synthetic, tmp_path):
    lab = synthetic.lab(ladder=0, hostile=True)
    text = export(lab, "compare", tmp_path / "c.svg").read_text()
    assert "<script" not in text and "<img" not in text


@pytest.mark.parametrize("panel", ["unusual", "depth", "heatmap", "density", "embedding", "steps", "compare"])
def test_every_panel_exports(lab, tmp_path, panel):
    assert export(lab, panel, tmp_path / "x.svg").stat().st_size > 3000


def test_wrong_requests_are_sentences(lab, tmp_path):
    with pytest.raises(Failure, match="no panel 'nothing'"):
        export(lab, "nothing", tmp_path / "x.svg")
    with pytest.raises(Failure, match="svg or .png"):
        export(lab, "depth", tmp_path / "x.gif")
    with pytest.raises(Failure, match="no rows"):
        export(lab, "depth", tmp_path / "x.svg", quantity="nothing")
