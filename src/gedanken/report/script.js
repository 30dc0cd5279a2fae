"use strict";
// Reads the page's tables, draws the panels that come into view, and answers the selects. It measures nothing.
// Every text goes in through textContent, an attribute of an element made here, or a chart's data: never as markup.
(() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  const ERROR = 1; // of vega's log levels: notices about empty error bars are no news
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const runSelect = document.getElementById("run");
  let theme = dark.matches ? "dark" : "light";

  // columns → rows

  const unpacked = new Map();

  const column = (coded) => {
    if (Array.isArray(coded)) return coded;
    const out = [];
    for (let i = 0; i < coded.r.length; i += 2) for (let n = coded.r[i + 1]; n > 0; n--) out.push(coded.r[i]);
    return out;
  };

  function table(name, run, quantity) {
    const key = JSON.stringify([name, run, quantity]);
    if (!unpacked.has(key)) unpacked.set(key, unpack(name, run, page.tables[name]?.[run]?.[quantity]));
    return unpacked.get(key);
  }

  function unpack(name, run, coded) {
    if (!coded) return [];
    const columns = Object.entries(coded).map(([key, values]) => [key, column(values)]);
    return columns[0][1].map((_, i) => {
      const row = { run };
      for (const [key, values] of columns) row[key] = values[i];
      if ("place" in row) Object.assign(row, page.places[run][row.place]);
      delete row.place;
      return name === "values" ? relative(row) : row;
    });
  }

  const short = (x) => Number(x.toPrecision(3));

  function relative(row) { // ratios to the null are written out here instead of being carried in the file
    if (row.null > 0 && row.value > 0) {
      row.ratio = short(row.value / row.null);
      row.log_ratio = short(Math.log(row.value / row.null));
      if (row.low > 0) { row.ratio_low = short(row.low / row.null); row.ratio_high = short(row.high / row.null); }
    }
    return row;
  }

  const points = (rows) => rows.flatMap((row) => row.x.map((x, i) => ({
    run: row.run, site: row.site, step: row.step, x, y: row.y[i],
    low: row.low?.[i] ?? null, high: row.high?.[i] ?? null,
    null_low: row.null_low?.[i] ?? null, null_high: (row.null_high ?? row.null_low)?.[i] ?? null,
  })));

  // panels

  class Panel {
    constructor(spec) {
      this.spec = spec;
      this.element = document.getElementById(spec.id);
      this.choice = {};
      this.selects = {};
      this.views = [];
      this.seen = this.stale = false;
      for (const control of spec.controls) this.addSelect(control);
      this.element.querySelector(".csv").addEventListener("click", () => this.downloadRows());
      this.element.querySelector(".svg").addEventListener("click", () => this.downloadChart());
    }

    addSelect({ field, label }) {
      const box = document.createElement("label"), select = document.createElement("select");
      box.append(label + " ", select);
      select.name = field;
      select.addEventListener("change", () => { this.choice[field] = select.value; this.show(); });
      this.element.querySelector(".chosen").append(box);
      this.selects[field] = select;
    }

    get run() { return this.spec.whole_lab ? page.runs[0] : runSelect.value; }

    rows(quantity) {
      const { table: name, across_runs: across, stepped } = this.spec;
      let rows = (across ? page.runs : [this.run]).flatMap((run) => table(name, run, quantity));
      if (name === "values") rows = rows.filter((row) => row.layer != null);
      if (this.spec.lanes) rows = rows.filter((row) => row[this.spec.lanes]);
      if (across) rows = rows.filter((row) => row.step == null || row.step === page.last[row.run]);
      return stepped ? rows.filter((row) => row.step != null) : rows;
    }

    choose() { // fix the controls in turn, each among what the earlier ones left
      const runs = this.spec.across_runs ? page.runs : [this.run];
      const offered = this.spec.quantities.filter((q) => runs.some((run) => page.tables[this.spec.table]?.[run]?.[q]));
      const quantity = this.fix("quantity", offered, (q) => this.spec.extra[q] ?? page.quantities[q].label);
      let rows = quantity === undefined ? [] : this.rows(quantity);
      for (const { field } of this.spec.controls) {
        if (field === "quantity") continue;
        const values = [...new Set(rows.map((row) => row[field] ?? ""))];
        if (field === "step") values.sort((a, b) => b - a);
        const name = (v) => field === "step" ? Number(v).toLocaleString("en") : v;
        const chosen = this.fix(field, values.map(String), name);
        rows = rows.filter((row) => String(row[field] ?? "") === chosen);
      }
      return { quantity, rows };
    }

    fix(field, values, name) {
      const select = this.selects[field];
      const wanted = [this.choice[field], page.first[this.run]?.[field], values[0]].find((v) => values.includes(v));
      const key = JSON.stringify(values);
      if (select && select.dataset.key !== key) {
        select.replaceChildren(...values.map((v) => new Option(name(v), v)));
        select.dataset.key = key;
      }
      if (select) { select.value = wanted ?? ""; select.parentElement.hidden = values.length < 2; }
      return wanted;
    }

    async show() {
      if (!this.seen) { this.stale = true; return; }
      const { quantity, rows } = this.choose();
      const about = page.quantities[quantity] ?? page.quantities[rows[0]?.of];
      this.quantity = quantity;
      this.data = this.spec.table === "curves" ? points(rows) : rows;
      const empty = this.element.querySelector(".empty");
      empty.hidden = rows.length > 0;
      const when = this.spec.stepped ? " at more than one step" : "";
      empty.textContent = `${this.run}: ${this.spec.missing || `nothing of this kind was measured${when}`}.`;
      this.element.querySelector(".charts").hidden = rows.length === 0;
      this.note(about, quantity);
      for (const part of this.element.querySelectorAll("[data-run]")) part.hidden = part.dataset.run !== this.run;
      this.views.forEach((view) => view.finalize());
      this.views = [];
      if (!rows.length) return;
      const marks = this.marks(rows[0]);
      const turn = this.turn = (this.turn ?? 0) + 1;
      const places = [...this.element.querySelectorAll(".chart")];
      for (const [i, variants] of this.spec.charts.entries()) {
        const spec = this.fill(variants, about, places[i].clientWidth, marks);
        const made = await vegaEmbed(places[i], spec, {
          actions: false, renderer: "svg", logLevel: ERROR, config: page.config[theme], tooltip: { theme },
        });
        if (turn !== this.turn) { made.finalize(); return; }
        this.views.push(made);
      }
    }

    marks(row) {
      const rival = table("curves", row.run, this.spec.rivals[this.quantity]);
      const here = (other) => other.site === row.site && (other.step ?? null) === (row.step ?? null);
      if (rival.length) return points(rival.filter(here));
      return this.spec.marks.flatMap((quantity) => table("values", row.run, quantity)
        .filter(here)
        .map((mark) => ({ ...mark, symbol: page.quantities[quantity].symbol })));
    }

    fill(variants, about, width, marks) {
      const wanted = about.ratio && variants.ratio ? "ratio" : about.scale;
      const kind = variants[wanted] ? wanted : Object.keys(variants)[0];
      const most = Math.max(...this.data.map((row) => row.step ?? 0)), ticks = [0];
      const reach = Math.max(1e-3, ...this.data.map((row) => Math.abs(row.log_ratio ?? 0)));
      for (let decade = 1; decade <= most; decade *= 10) ticks.push(decade);
      const lists = { "@ticks@": ticks, "@reach@": [-reach, reach] };
      const texts = { "@y@": about.title, "@x@": about.x_title, "@ratio@": `${about.label} / null median [1]` };
      const spec = JSON.parse(JSON.stringify(variants[kind]), (_, v) =>
        Array.isArray(v) && Object.hasOwn(lists, v[0]) ? lists[v[0]] : Object.hasOwn(texts, v) ? texts[v] : v);
      spec.datasets = { ...spec.datasets, rows: this.data, marks };
      spec.description = `${this.spec.title}: ${this.spec.question}`;
      if (spec.facet) {
        const groups = new Set(this.data.map((row) => row.group)).size;
        spec.columns = Math.max(1, Math.min(4, groups, Math.floor((width - 60) / this.spec.cell)));
        spec.spec.width = Math.floor((width - 76 - 20 * (spec.columns - 1)) / spec.columns);
      } else if (spec.vconcat) {
        for (const part of spec.vconcat) part.width = width - 84; // a part cannot be fitted: room for its axis
      } else {
        Object.assign(spec, { width, autosize: { type: "fit-x", contains: "padding" } });
        const lanes = new Set(this.data.map((row) => row[this.spec.lanes])).size;
        if (spec.height.step) spec.height = spec.height.step * lanes;
      }
      return spec;
    }

    note(about, quantity) {
      const lines = [], refused = this.spec.across_runs ? page.runs : [this.run];
      const count = refused.reduce((sum, run) => sum + (page.refused[run]?.[quantity] ?? 0), 0);
      if (about && quantity in page.quantities && !about.picture) {
        lines.push(about.definition);
        const none = about.no_null ? `No null: ${about.no_null}.` : about.curve ? "" : "No null.";
        lines.push(about.null ? `Null: ${about.null}.` : none);
        const sites = `${count.toLocaleString("en")} ${count === 1 ? "site" : "sites"}`;
        lines.push(count ? `Refused at ${sites}.` : "None refused.");
      }
      this.element.querySelector(".about").textContent = lines.filter(Boolean).join(" ");
      const cited = [...this.spec.references, quantity in page.quantities ? about.reference : ""].filter(Boolean);
      const source = this.spec.across_runs || this.spec.whole_lab ? [] : [page.provenance[this.run]];
      this.element.querySelector(".source").textContent =
        [cited.length ? `Cited: ${[...new Set(cited)].join("; ")}.` : "", ...source].filter(Boolean).join(" ");
    }

    name(suffix) { return `gedanken-${this.spec.id}-${this.run}-${this.quantity}.${suffix}`.replace(/[^\w.-]+/g, "_"); }

    downloadRows() {
      const about = page.quantities[this.quantity];
      const rows = (this.data ?? []).map((row) => ({ variable: (about ?? page.quantities[row.of]).label,
        unit: (about ?? page.quantities[row.of]).unit, ...row }));
      const keys = [...new Set(rows.flatMap(Object.keys))];
      const cell = (value) => {
        if (value == null) return "";
        if (typeof value !== "string") return String(value);
        const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value; // a spreadsheet would run it as a formula
        return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
      };
      const lines = [keys.join(","), ...rows.map((row) => keys.map((key) => cell(row[key])).join(","))];
      save(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }), this.name("csv"));
    }

    async downloadChart() {
      for (const { view } of this.views) {
        save(new Blob([await view.toSVG()], { type: "image/svg+xml" }), this.name("svg"));
      }
    }
  }

  function save(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  // start

  runSelect.replaceChildren(...page.runs.map((run) => new Option(run, run)));
  document.getElementById("run-choice").hidden = page.runs.length < 2;
  const panels = page.panels.map((spec) => new Panel(spec));
  const pending = new Set();

  async function draw(panel) {
    panel.seen = true;
    pending.add(panel);
    try { await panel.show(); } finally {
      pending.delete(panel);
      if (!pending.size) whenDrawn();
    }
  }

  // Panels out of sight follow one by one when there is nothing else to do, so that a print of the page is whole.
  const whenIdle = globalThis.requestIdleCallback ?? setTimeout;
  function whenDrawn() {
    document.documentElement.dataset.drawn ??= Math.round(performance.now());
    whenIdle(() => {
      const next = panels.find((panel) => !panel.seen);
      if (next && !pending.size) draw(next);
    });
  }

  const watcher = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      const panel = panels.find((p) => p.element === target);
      if (isIntersecting && !panel.seen) draw(panel);
    }
    if (!pending.size) whenDrawn();
  }, { rootMargin: "150px" });
  panels.forEach((panel) => watcher.observe(panel.element));

  const redraw = () => panels.forEach((panel) => panel.seen && draw(panel));
  runSelect.addEventListener("change", redraw);

  function setTheme(name) {
    theme = name;
    document.documentElement.dataset.theme = name;
    redraw();
  }
  document.getElementById("theme").addEventListener("click", () => setTheme(theme === "dark" ? "light" : "dark"));
  dark.addEventListener("change", (event) => setTheme(event.matches ? "dark" : "light"));

  let width = innerWidth, wait;
  addEventListener("resize", () => {
    clearTimeout(wait);
    wait = setTimeout(() => { if (innerWidth !== width) { width = innerWidth; redraw(); } }, 150);
  });
})();
