"use strict";
// Interactive charts from finished numbers. Nothing is computed here but what a reader changes: zoom, arms, threshold.
const charts = (() => {
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const dashes = ["solid", "dash", "dashdot", "dot"];
  const percent = (value, digits = 1) => (value === null ? "–" : `${(100 * value).toFixed(digits)} %`.replace("-", "−"));
  const faded = (colour, alpha) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    return `rgba(${r},${g},${b},${alpha})`;
  };

  const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;
  // on a dark page the same hues, half way to white
  const tone = (colour) => (!isDark() ? colour : `#${[1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16);
    return Math.round(part + 0.45 * (255 - part)).toString(16).padStart(2, "0");
  }).join("")}`);
  const toned = (study) => ({ ...study, palette: study.palette.map(tone),
    verdicts: Object.fromEntries(Object.entries(study.verdicts).map(([verdict, colour]) => [verdict, tone(colour)])) });

  const narrow = () => window.innerWidth < 700;

  // --- the parts that charts share

  const element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name in made && typeof value !== "string") made[name] = value;
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  };
  const choice = (label, options, change) => {
    const select = element("select", {}, ...options.map(([value, text]) => element("option", { value }, text)));
    select.addEventListener("change", () => change(select.value));
    return element("label", {}, `${label} `, select);
  };
  const tick = (label, checked, change) => {
    const box = element("input", { type: "checkbox", checked });
    box.addEventListener("change", () => change(box.checked));
    return element("label", { class: "tick" }, box, ` ${label}`);
  };
  const base = (extra) => {
    const ink = style("--ink");
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest", autosize: true,
      font: { family: style("--font") || "sans-serif", size: 12, color: ink },
      hoverlabel: { bgcolor: style("--paper"), bordercolor: style("--line"), font: { color: ink }, align: "left" },
      margin: { l: 64, r: 16, t: 28, b: 48 }, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, ...extra,
    };
  };
  const axis = (extra = {}) => ({
    gridcolor: style("--line"), zerolinecolor: style("--line"), linecolor: style("--soft"), automargin: true, ...extra,
    ...(extra.title ? { title: { ...extra.title, standoff: 10 } } : {}),
  });
  const settings = { displaylogo: false, responsive: true, doubleClick: "reset",
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };
  const draw = (chart, traces, layout) => Plotly.react(chart.plot, traces, base(layout), settings);
  const band = (x, lo, hi, colour, name, more = {}) => ({
    x: [...x, ...[...x].reverse()], y: [...hi, ...[...lo].reverse()], fill: "toself", fillcolor: faded(colour, 0.15),
    line: { width: 0 }, hoverinfo: "skip", showlegend: false, legendgroup: name, mode: "lines", ...more,
  });

  // --- claims

  const forest = (chart, claims, plain) => {
    const study = toned(plain);
    const shown = claims.filter((claim) => claim.gain !== null);
    const reach = Math.max(2, ...shown.flatMap((c) => [c.lo, c.hi, c.gain]).map((v) => Math.abs(v ?? 0)));
    const limit = 1.08 * Math.min(8, reach);
    const symbols = { supported: "circle", contradicted: "x", "not supported": "square", undecided: "diamond" };
    const traces = Object.entries(study.verdicts).map(([verdict, colour]) => {
      const mine = shown.filter((claim) => claim.verdict === verdict);
      const known = (claim, end) => (claim[end] === null ? 0 : Math.abs(claim[end] - claim.gain));
      return {
        name: verdict, x: mine.map((c) => c.gain), y: mine.map((c) => c.label), mode: "markers",
        marker: { color: colour, size: 10, symbol: symbols[verdict] },
        error_x: { type: "data", symmetric: false, array: mine.map((c) => known(c, "hi")),
          arrayminus: mine.map((c) => known(c, "lo")), color: colour, thickness: 2, width: 0 },
        customdata: mine.map((c) => `${c.verdict}<br>${c.text}`), hovertemplate: "%{y}<br>%{customdata}<extra></extra>",
      };
    });
    const beyond = shown.flatMap((c) => [["lo", -1], ["hi", 1]].filter(([end, side]) => side * c[end] > limit).map(([, side]) => [c, side]));
    traces.push({ x: beyond.map(([, side]) => side * limit), y: beyond.map(([c]) => c.label), mode: "markers", showlegend: false, cliponaxis: false,
      marker: { symbol: beyond.map(([, side]) => (side > 0 ? "triangle-right" : "triangle-left")), size: 11, color: beyond.map(([c]) => study.verdicts[c.verdict]) },
      customdata: beyond.map(([c]) => `${c.verdict}<br>${c.text}`), hovertemplate: "%{y}<br>%{customdata}<extra></extra>" });
    chart.plot.style.height = `${Math.max(170, 110 + 26 * claims.length)}px`;
    draw(chart, traces.filter((trace) => trace.x.length), {
      showlegend: true,
      xaxis: axis({ range: [-limit, limit], title: { text: "gain in the claimed direction, in margins" } }),
      yaxis: axis({ categoryorder: "array", categoryarray: claims.map((c) => c.label).reverse(),
        range: [-0.7, claims.length - 0.3], ticktext: claims.map((c) => cut(c.label)), tickvals: claims.map((c) => c.label),
        showgrid: false }),
      shapes: [{ type: "rect", x0: -1, x1: 1, y0: 0, y1: 1, yref: "paper", fillcolor: style("--band"), line: { width: 0 }, layer: "below" }],
    });
  };
  const cut = (text) => {
    const most = narrow() ? 26 : 60;
    return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
  };

  // --- arms

  const arms = (chart, found, study) => {
    const state = { metric: found.metrics[0].key, sorted: true };
    const redraw = () => drawArms(chart, found, study, state);
    chart.controls.append(
      choice("metric", found.metrics.map((m) => [m.key, m.label]), (value) => { state.metric = value; redraw(); }),
      tick("sorted", true, (on) => { state.sorted = on; redraw(); }),
    );
    return redraw;
  };
  const drawArms = (chart, found, plain, state) => {
    const study = toned(plain);
    const metric = found.metrics.find((m) => m.key === state.metric);
    const mine = found.arms.filter((arm) => arm.metrics[metric.key]);
    if (state.sorted) mine.sort((a, b) => (a.metrics[metric.key].mean ?? 0) - (b.metrics[metric.key].mean ?? 0));
    else mine.reverse();
    const of = (arm) => arm.metrics[metric.key];
    const say = (value) => (metric.percent ? percent(value, 2) : String(value));
    const dots = (name, collapsed, marker) => {
      const points = mine.flatMap((arm) => of(arm).values.map((value, i) => [value, arm, i]))
        .filter(([, arm, i]) => arm.collapsed[i] === collapsed);
      return { name, mode: "markers", marker, x: points.map(([value]) => value), y: points.map(([, arm]) => arm.name),
        customdata: points.map(([value, arm, i]) => `seed ${arm.seeds[i]}: ${say(value)}`),
        hovertemplate: "%{y}<br>%{customdata}<extra></extra>" };
    };
    const known = mine.filter((arm) => of(arm).lo !== null);
    const told = mine.filter((arm) => of(arm).reported !== null);
    const traces = [
      { name: "mean, 95 % interval", mode: "markers", x: known.map((a) => of(a).mean), y: known.map((a) => a.name),
        marker: { color: style("--ink"), symbol: "line-ns", size: 12, line: { width: 2, color: style("--ink") } },
        error_x: { type: "data", symmetric: false, array: known.map((a) => of(a).hi - of(a).mean),
          arrayminus: known.map((a) => of(a).mean - of(a).lo), color: style("--ink"), thickness: 1.5, width: 5 },
        customdata: known.map((a) => `mean ${say(of(a).mean)}<br>95 % interval ${say(of(a).lo)} to ${say(of(a).hi)}`),
        hovertemplate: "%{y}<br>%{customdata}<extra></extra>" },
      dots("one seed", false, { color: faded(study.palette[0], 0.6), size: 7 }),
      dots("collapsed seed", true, { color: style("--ink"), symbol: "x-thin", size: 8, line: { width: 1.5, color: style("--ink") } }),
      { name: "reported", mode: "markers", x: told.map((a) => of(a).reported), y: told.map((a) => a.name),
        marker: { color: "rgba(0,0,0,0)", symbol: "diamond", size: 10, line: { width: 2, color: study.palette[1] } },
        customdata: told.map((a) => `reported ${say(of(a).reported)}`), hovertemplate: "%{y}<br>%{customdata}<extra></extra>" },
    ].filter((trace) => trace.x.length);
    chart.plot.style.height = `${Math.max(190, 120 + 28 * mine.length)}px`;
    draw(chart, traces, {
      xaxis: axis({ title: { text: metric.label }, tickformat: metric.percent ? ".0%" : "" }),
      yaxis: axis({ categoryorder: "array", categoryarray: mine.map((a) => a.name), range: [-0.7, mine.length - 0.3] }),
    });
  };

  // --- curves

  const panels = [["accuracy", "train_accuracy", "val_accuracy"], ["loss", "train_loss", "val_loss"]];
  const curves = (chart, found, study) => {
    const state = { view: "together", seeds: "mean", log: false, shown: new Set(), growing: Boolean(study.growing) };
    const redraw = () => drawCurves(chart, found, study, state);
    const change = (key) => (value) => { state[key] = value; redraw(); };
    const which = element("select", {}), ticks = element("fieldset", { hidden: true }, element("legend", {}, "arms"));
    which.addEventListener("change", () => change("seeds")(which.value));
    chart.controls.append(
      choice("view", [["together", "all arms together"], ["report", "a row for each arm"]], change("view")),
      element("label", {}, "seeds ", which), tick("loss on a log scale", false, change("log")), ticks,
    );
    // arms and seeds that come while a study is trained are offered too
    const offered = { arms: new Set(), seeds: new Set() };
    const offer = () => {
      for (const arm of found.filter(({ label }) => !offered.arms.has(label))) {
        offered.arms.add(arm.label);
        if (state.shown.size < 8) state.shown.add(arm.label);
        ticks.append(tick(arm.label, state.shown.has(arm.label), (on) => {
          if (on) state.shown.add(arm.label); else state.shown.delete(arm.label);
          redraw();
        }));
      }
      ticks.hidden = offered.arms.size < 2;
      const seeds = new Set(found.flatMap((arm) => arm.seeds));
      if (seeds.size !== offered.seeds.size || which.options.length === 0) {
        offered.seeds = seeds;
        const choices = [["mean", "mean and range"], ["all", "every seed"], ...[...seeds].sort((x, y) => x - y).map((s) => [String(s), `seed ${s}`])];
        which.replaceChildren(...choices.map(([value, text]) => element("option", { value }, text)));
        which.value = state.seeds;
      }
    };
    offer();
    const update = (newer) => { found = newer; offer(); redraw(); };
    return Object.assign(redraw, { update });
  };
  const drawCurves = (chart, found, plain, state) => {
    const study = toned(plain);
    const rows = state.view === "report";
    const shown = found.map((arm, place) => ({ ...arm, place })).filter((arm) => state.shown.has(arm.label));
    const below = !rows && narrow();
    const height = rows ? 60 + 230 * Math.max(1, shown.length) : below ? 760 : 430;
    const layout = { grid: { rows: rows ? Math.max(1, shown.length) : below ? 2 : 1, columns: below ? 1 : 2, pattern: "independent",
      xgap: 0.14, ygap: rows ? 0.28 : 0.16 }, annotations: [], legend: { orientation: "h", y: 1 + 28 / height, yanchor: "bottom", x: 0 } };
    const traces = [], named = new Set();
    shown.forEach((arm, row) => panels.forEach(([what, ...curves], column) => {
      const number = rows ? 2 * row + column + 1 : column + 1, at = number === 1 ? "" : String(number);
      layout[`xaxis${at}`] = axis({ title: { text: !rows || row === shown.length - 1 ? "epoch" : "" } });
      layout[`yaxis${at}`] = axis({ title: { text: rows ? `(${letter(2 * row + column)}) ${what}` : what },
        ...(what === "loss" ? { type: state.log ? "log" : "linear", rangemode: state.log ? "normal" : "tozero" } : { tickformat: ".0%" }),
        ...(rows && row ? { matches: column ? "y2" : "y" } : {}) });
      if (rows && column === 0) {
        layout.annotations.push({ text: arm.label, xref: `x${at} domain`, yref: `y${at} domain`, x: 0, y: 1.02, yanchor: "bottom",
          showarrow: false, font: { size: 12 } });
      }
      curves.forEach((key) => {
        const training = key.startsWith("train"), split = training ? "training" : "validation";
        const colour = rows ? study.palette[training ? 0 : 1] : study.palette[arm.place % study.palette.length];
        const dash = rows ? "solid" : training ? "dot" : dashes[(Math.floor(arm.place / study.palette.length) % 2)];
        const name = rows ? split : `${arm.label}, ${split}`;
        const where = { xaxis: `x${at}`, yaxis: `y${at}` };
        for (const trace of lines(arm, key, name, colour, dash, state)) {
          traces.push({ ...trace, ...where, legendgroup: name, showlegend: trace.showlegend !== false && !named.has(name) });
          if (trace.showlegend !== false) named.add(name);
        }
      });
    }));
    chart.plot.style.height = `${height}px`;
    draw(chart, traces, layout);
  };
  const lines = (arm, key, name, colour, dash, { seeds, growing }) => {
    const values = arm.curves[key], made = [];
    const line = (y, label, width) => ({ x: y.map((_, i) => i + 1), y, name, mode: y.length === 1 ? "markers" : "lines",
      line: { color: colour, width, dash }, marker: { color: colour },
      hovertemplate: `${arm.label}, ${label}<br>epoch %{x}: %{y${key.endsWith("accuracy") ? ":.2%" : ""}}<extra></extra>` });
    if (!values.length) return made;
    if (seeds === "mean") {
      // of finished runs as far as all go, for a mean of those that are left is of another sort; while they grow, of those there are
      const lengths = values.map((curve) => curve.length), last = growing ? Math.max(...lengths) : Math.min(...lengths);
      const x = Array.from({ length: last }, (_, i) => i + 1);
      const at = x.map((_, i) => values.map((curve) => curve[i]).filter((value) => value !== null && value !== undefined));
      made.push(band(x, at.map((v) => Math.min(...v)), at.map((v) => Math.max(...v)), colour, name));
      made.push(line(at.map((v) => v.reduce((a, b) => a + b, 0) / v.length), `mean of ${key.replace("_", " ")}`, 2.2));
    } else {
      values.forEach((curve, i) => {
        if (seeds === "all" || seeds === String(arm.seeds[i])) made.push(line(curve, `seed ${arm.seeds[i]}`, seeds === "all" ? 1 : 2));
      });
    }
    return made;
  };
  const letter = (number) => (number >= 26 ? String.fromCharCode(96 + Math.floor(number / 26)) : "") + String.fromCharCode(97 + (number % 26));

  // --- ROC

  const roc = (chart, found, plain) => {
    const study = toned(plain);
    const percents = { range: [-0.01, 1.01], tickformat: ".0%" };
    const panel = (number, x, y, say) => found.flatMap((arm, place) => {
      const colour = study.palette[place % study.palette.length], curve = arm[number === 1 ? "roc" : "pr"];
      const where = number === 1 ? {} : { xaxis: "x2", yaxis: "y2" };
      return [
        { ...band(arm.grid, curve.lo, curve.hi, colour, arm.label), ...where },
        { x: arm.grid, y: curve.mean, name: arm.label, legendgroup: arm.label, mode: "lines", showlegend: number === 1, ...where,
          line: { color: colour, width: 2, dash: dashes[Math.floor(place / study.palette.length) % 4] },
          hovertemplate: `${arm.label}<br>${x} %{x:.0%}: ${y} %{y:.1%}<extra></extra>` },
      ];
    });
    const even = { x: [0, 1], y: [0, 1], mode: "lines", line: { color: style("--line"), width: 1 }, hoverinfo: "skip", showlegend: false };
    chart.plot.style.height = narrow() ? "800px" : "470px";
    draw(chart, [even, ...panel(1, "1 − specificity", "sensitivity"), ...panel(2, "sensitivity", "precision")], {
      grid: { rows: narrow() ? 2 : 1, columns: narrow() ? 1 : 2, pattern: "independent", xgap: 0.14, ygap: 0.16 },
      xaxis: axis({ ...percents, title: { text: "1 − specificity" } }), yaxis: axis({ ...percents, title: { text: "sensitivity" } }),
      xaxis2: axis({ ...percents, title: { text: "sensitivity" } }), yaxis2: axis({ ...percents, title: { text: "precision" } }),
    });
  };

  // --- the threshold slider: numbers, no drawing

  const thresholds = (chart, found) => {
    const middle = Math.floor(found.cuts.length / 2);
    const state = { arm: 0, cut: middle };
    const output = element("output", { class: "cut" });
    const slider = element("input", { type: "range", min: "0", max: String(found.cuts.length - 1), value: String(middle), "aria-label": "threshold" });
    const table = element("div", { class: "confusions", "aria-live": "polite" });
    const redraw = () => {
      const cutAt = found.cuts[state.cut], shownCut = cutAt < 0.01 || cutAt > 0.99 ? cutAt.toFixed(4) : cutAt.toFixed(3);
      output.textContent = `called ${found.classes[1]} above a probability of ${shownCut}`;
      slider.setAttribute("aria-valuetext", shownCut);
      const arm = found.arms[state.arm];
      table.replaceChildren(...["validation", "test"].map((split) => confusion(found.classes, arm[split], split, state.cut)));
    };
    slider.addEventListener("input", () => { state.cut = Number(slider.value); redraw(); });
    const back = element("button", { type: "button" }, "back to 0.5");
    back.addEventListener("click", () => { state.cut = middle; slider.value = String(middle); redraw(); });
    chart.controls.append(
      choice("arm", found.arms.map((arm, i) => [String(i), arm.name]), (value) => { state.arm = Number(value); redraw(); }),
      element("label", { class: "slide" }, "threshold ", slider), back, output,
    );
    chart.plot.append(table);
    return redraw;
  };
  const confusion = (classes, counts, split, cut) => {
    const [negatives, positives] = counts.cases;
    const cell = (label) => {
      const all = counts.cases[label], called = counts.mean[label][cut];
      const range = [counts.lo[label][cut], counts.hi[label][cut]], rest = [counts.rest_lo[label][cut], counts.rest_hi[label][cut]];
      const of = (mean, lo, hi) => `${mean.toFixed(lo === hi ? 0 : 1)}${lo === hi ? "" : ` (${lo} to ${hi})`}`;
      return [of(all - called, ...rest), of(called, ...range)];
    };
    const row = (label) => element("tr", {}, element("th", { scope: "row" }, `labelled ${classes[label]}`),
      ...cell(label).map((text, called) => element("td", { class: called === label ? "right" : "wrong" }, text)));
    const sensitivity = counts.mean[1][cut] / positives, specificity = 1 - counts.mean[0][cut] / negatives;
    const accuracy = (counts.mean[1][cut] + negatives - counts.mean[0][cut]) / (positives + negatives);
    return element("table", {},
      element("caption", {}, `${split}: accuracy ${percent(accuracy)}, sensitivity ${percent(sensitivity)}, specificity ${percent(specificity)}`),
      element("thead", {}, element("tr", {}, element("td"), ...classes.map((name) => element("th", { scope: "col" }, `called ${name}`)))),
      element("tbody", {}, row(0), row(1)));
  };

  // --- a figure that becomes a chart

  const kinds = { forest, arms, curves, roc, thresholds };
  const mount = (figure, found, study) => {
    const chart = { controls: element("div", { class: "controls" }), plot: element("div", { class: "plot" }) };
    const image = figure.querySelector("img"), kind = figure.dataset.chart;
    if (kind !== "thresholds") {
      chart.plot.setAttribute("role", "group");
      chart.plot.setAttribute("aria-label", image ? image.alt : figure.dataset.label);
    }
    figure.prepend(chart.controls, chart.plot);
    const redraw = kinds[kind](chart, found, study) || (() => { kinds[kind](chart, found, study); });
    redraw();
    figure.classList.add("live");
    // a reader who changes between light and dark changes the charts too
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
    return redraw;
  };
  return { mount };
})();
