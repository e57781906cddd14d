// The explorer in the page: `choose` decides exactly as natlib.teach.explorer.choose does, `explorer` draws. All
// displays of one explorer are views of one state, that of their group; through `bridge` it follows a kernel, too.
const groups = (globalThis.natlibExplorers ??= {});
const groupOf = (key) => (groups[key] ??= { state: {}, views: new Set(), models: new Set(), serial: 0 });

function change(group, patch, fromKernel) {
  Object.assign(group.state, patch);
  group.views.forEach((view) => view());
  const [model] = fromKernel ? [] : group.models;
  if (model) model.set("state", { ...group.state }), model.save_changes();
}

function bridge({ model, el }) {
  const group = groupOf(model.get("key")), pull = () => change(group, model.get("state"), true);
  el.closest(".jp-OutputArea-child")?.style.setProperty("display", "none"); // there is nothing to see
  group.models.add(model), model.on("change:state", pull), pull();
  return () => (group.models.delete(model), model.off("change:state", pull));
}

const sum = (values) => values.reduce((a, b) => a + b, 0);
const rint = (v, r = Math.round(v)) => (r - v === 0.5 && r % 2 ? r - 1 : r); // half to even, as numpy
const short = (v, digits = 4) => String(Number(v.toPrecision(digits)));
const range = (values) => (values.length ? `${short(Math.min(...values))} to ${short(Math.max(...values))}` : "nothing");
const escaped = (words) => words.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt()};`);
const [title, unit] = [(label) => label.split(" (")[0], (label) => (label.match(/\((.*)\)/)?.[1] ?? "").replace("%", "point")];
const join = (items, one) => items.map(one).join("");
const within = (d, limits) => d.finite.filter((i) => d.F[i].every((v, j) => limits[j][0] <= v && v <= limits[j][1]));
const dominates = (a, b) => a.every((v, j) => v <= b[j]) && a.some((v, j) => v < b[j]);
const isFront = (d, i, rows, F = d.F) => (F === d.F && d.front[i]) || !rows.some((k) => dominates(F[k], F[i]));

function choose(d, s, rows, F = d.F) { // of rows that keep the limits; returns them by rank, too
  const total = sum(s.weights), w = s.weights.map((v) => (total > 0 ? v / total : 1 / s.weights.length));
  const scaled = (f) => f.map((v, j) => (v - d.ideal[j]) / d.span[j]), aim = scaled(s.reference);
  const pseudo = (good, all = sum(good)) => sum(good.map((v, j) => Math.abs(v / all - w[j])));
  const score = {
    chebyshev: (f) => Math.max(...f.map((v, j) => v * w[j])),
    pseudo: (f) => pseudo(f.map((v) => Math.max(1 - v, 1e-12))),
    knee: (f) => -f.reduce((p, v) => p * Math.max(1.1 - v, 0), 1),
    reference: (f) => Math.max(...f.map((v, j) => v - aim[j])),
  }[s.method];
  const keys = rows.map((i, _, __, f = scaled(F[i])) => [rint(score(f) * 1e12) / 1e12, sum(f), i]);
  const order = keys.sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]).map((key) => key[2]);
  return { order, chosen: order.find((i) => isFront(d, i, rows, F)) ?? null };
}

function doubts(d, s, order, row, draws = 200, seed = 1) { // how often each is chosen when errors vary
  const uniform = () => ((seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) + 0.5) / 2 ** 32;
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  const vary = (v, j) => (d.pictures[j] ? v + normal() * Math.sqrt((v * (100 - v)) / d.pictures[j]) : v);
  const rows = order.slice(0, 60), count = {}; // those behind them hardly ever win
  for (let n = 0; n < draws; n++) {
    const { chosen } = choose(d, s, rows, Object.fromEntries(rows.map((i) => [i, d.F[i].map(vary)])));
    count[chosen] = (count[chosen] ?? 0) + 100 / draws;
  }
  const [rival] = Object.keys(count).filter((i) => Number(i) !== row).sort((a, b) => count[b] - count[a]);
  return `It stays the choice in ${Math.round(count[row] ?? 0)}% of ${draws} draws in which every error varies by its`
    + ` standard error${rival ? `; runner-up: ${d.names[rival]}, ${Math.round(count[rival])}%` : ""}.`;
}

function tradeOff(d, s, rows, row) { // what a little less of one of the two shown costs
  const [x, y] = [s.right, s.up], c = d.F[row], by = (a, b) => d.F[a][x] - d.F[b][x] || d.F[a][y] - d.F[b][y];
  const [next] = rows.filter((i) => d.F[i][y] < c[y]).sort(by), f = d.F[next];
  if (next === undefined) return `Nothing within the limits has less ${title(d.labels[y])}.`;
  const is = `${d.names[next]} (${d.labels[y]} ${short(f[y])}, ${d.labels[x]} ${short(f[x])}).`;
  if (f[x] <= c[x]) return `In these two objectives alone another is better: ${is}`;
  const rate = `${short((f[x] - c[x]) / (c[y] - f[y]), 2)} ${unit(d.labels[x])}`;
  return `One ${unit(d.labels[y]) || "unit"} less ${title(d.labels[y])} costs ${rate} more ${title(d.labels[x])}: next subnet ${is}`;
}

function whyEmpty(d, limits) { // names what the nearest breaks, in shares of each objective's range
  const missed = (i) => d.F[i].map((v, j) => Math.max(limits[j][0] - v, v - limits[j][1], 0));
  const far = (i) => sum(missed(i).map((gap, j) => gap / Math.max(d.worst[j] - d.best[j], 1e-12)));
  if (!d.finite.length) return "No architecture has finite values for all objectives.";
  const near = d.finite.reduce((a, b) => (far(b) < far(a) ? b : a));
  const parts = missed(near).map((gap, j) => gap && `${d.labels[j]} by ${short(gap, 3)}`).filter(Boolean);
  return `No architecture keeps all limits. The nearest, ${d.names[near]}, misses ${parts.join(" and ")}: widen it.`;
}

function scale(low, high, start, end, log) {
  const f = log ? Math.log : Number, [a, b] = low < high ? [f(low), f(high)] : [f(low) - 1, f(low) + 1];
  const to = (v) => start + ((f(v) - a) / (b - a)) * (end - start);
  const back = (at, v = a + ((at - start) / (end - start)) * (b - a)) => (log ? Math.exp(v) : v);
  const unit = 10 ** Math.floor(Math.log10((b - a) / 6)), step = unit * [1, 2, 5, 10].find((k) => k * unit * 6 >= b - a);
  const tick = (k) => (log ? Number(`${[1, 2, 5][k % 3]}e${Math.floor(k / 3) - 20}`) : (Math.ceil(a / step) + k) * step);
  return Object.assign(to, { back, ticks: [...Array(99).keys()].map(tick).filter((v) => f(v) >= a && f(v) <= b) });
}

const GLYPHS = { chosen: "★", A: "■", B: "▲", C: "◆", hover: "◯" };

function markup(d) { // every control has a name
  const menu = (title, name, options) => `<label>${title} <select name="${name}">${
    join(options, ([text, value]) => `<option value="${value}">${escaped(text)}</option>`)}</select></label>`;
  const check = ([name, text]) => `<label><input type="checkbox" name="${name}">${text}</label>`;
  const key = ([kind, glyph, text]) => `<span><i class="${kind}">${glyph}</i>${text}</span>`;
  const slide = (name, text, j) => `<input type="range" name="${name}" data-j="${j}" aria-label="${text} ${escaped(d.labels[j])}">`;
  const row = (j, title, kind, boxes) => `<span class="${kind}">${title}</span><div class="track ${kind}">${boxes}</div><output class="${kind}"></output>`;
  const tile = (label, j) => `<div class="tile" role="group" aria-label="${escaped(label)}"><b>${escaped(label)}</b>${
    row(j, "weight", "weights", slide("weights", "weight of", j))}${row(j, "wish", "reference", slide("reference", "wish for", j))}${
    row(j, "limits", "two", slide("low", "lowest", j) + slide("high", "highest", j))}<small></small></div>`;
  const axes = d.labels.map((label, j) => [label, j]), plot = '<div class="plot"><canvas aria-hidden="true"></canvas><canvas role="img"></canvas></div>';
  const head = (text, sort) => `<th scope="col"><button data-sort="${sort}">${escaped(text)}</button></th>`;
  return `<div class="app ${d.labels.length > 5 ? "many" : ""}"><div class="bar">${menu("method", "method", d.methods)}${
    menu("right", "right", axes)}${menu("up", "up", axes)}${
    join([["log", "log axis"], ["front", "front only"], ["dominated", "dominated points"]], check)}
    <button name="keep">Keep</button><button name="reset">Reset</button><button name="export">Export</button></div>
    <div class="tiles">${join(d.labels, tile)}</div><div class="plots"><div class="panel"><div class="legend">${
    join([["in", "●", "front of these two"], ["in", "○", "dominated"], ["out", "×", "outside the limits"]], key)}</div>${plot}</div>
    <div class="panel"><div class="legend"><span>Drag along an axis or an upright: a limit. Click: choose. Shift-click: keep.</span></div>${
    plot}</div></div><div class="cards"><div class="panel say" role="status">${"<p></p>".repeat(4)}</div></div>
    <div class="panel"><div class="bar"><b class="count"></b><button name="csv">Download CSV</button></div><div class="scroll"><table>
    <thead><tr>${head("rank", -1)}<th scope="col">architecture</th>${join(d.labels, head)}</tr></thead><tbody></tbody></table></div></div>
    <div class="panel tip" hidden></div><p class="hue" hidden></p></div>`;
}

function explorer(root, css) {
  const d = JSON.parse(root.querySelector("script").textContent), shadow = root.attachShadow({ mode: "open" });
  shadow.innerHTML = `<style>${css}</style>${markup(d)}`;
  const $ = (query) => shadow.querySelector(query), $$ = (query) => [...shadow.querySelectorAll(query)];
  const group = groupOf(d.key), s = group.state, set = (patch) => change(group, patch), tip = $(".tip");
  if (group.serial < d.serial) Object.assign(s, d.state), (group.serial = d.serial); // the last one shown
  const [front, lines] = $$(".plot").map((box) => ({ box, base: box.children[0], top: box.children[1] }));
  const hue = (kind) => (($(".hue").className = `hue ${kind}`), getComputedStyle($(".hue")).color);
  for (const box of $$("[type=range]"))
    [box.min, box.max, box.step] = box.name === "weights" ? [0, 1, 0.05] : d.ends[box.dataset.j];
  let p, hover = null, waiting = 0, settled = 0;

  const limit = (j, a, b) => set({ picked: null, limits: s.limits.with(j, a <= b ? [a, b] : [b, a]) });
  const keep = (i) => set({ kept: s.kept.includes(i) ? s.kept.filter((k) => k !== i) : [...s.kept, i].slice(-3) });
  const pick = (i, event) => p.rank.has(i) && (event.shiftKey ? keep(i) : set({ picked: i }));
  const figures = (i) => d.labels.map((label, j) => `${label} ${short(d.F[i][j])}`).join(", ");
  const places = (plot, i, q = plot.axes.map(({ j, to }) => to(d.F[i][j]))) =>
    plot === front ? [q] : plot.axes.map(({ at }, k) => [at, q[k]]);

  function decide() { // everything that follows from the state
    const rows = within(d, s.limits), { order, chosen } = choose(d, s, rows), row = s.picked ?? chosen;
    const shown = s.front ? rows.filter((i) => isFront(d, i, rows)) : rows, steps = [];
    const [x, y] = [s.right, s.up].map((j) => (i) => d.F[i][j]), rank = new Map(order.map((i, k) => [i, k + 1]));
    for (const i of shown.toSorted((a, b) => x(a) - x(b) || y(a) - y(b)))
      if (!steps.length || y(i) < y(steps.at(-1))) steps.push(i);
    const marks = [...s.kept.map((i, k) => [i, "ABC"[k]]), ...(row === null ? [] : [[row, "chosen"]])];
    const value = s.sort < 0 ? (i) => rank.get(i) : (i) => d.F[i][s.sort];
    const table = shown.toSorted((a, b) => (s.down ? value(b) - value(a) : value(a) - value(b)));
    p = { rows, shown, steps, marks, row, order, rank, table };
  }

  function draw(plot) { // the lower canvas does not depend on the weights, and mostly stays as it is
    const { box: { clientWidth: w, clientHeight: h }, base, top } = plot, [color, faint, ink, soft, halo] = ["in", "out", "ink", "soft", "halo"].map(hue);
    const axis = (j, upright, at, a, b, log) => ({ j, upright, at, to: scale(d.best[j], d.worst[j], a, b, log) });
    const key = JSON.stringify([w, h, devicePixelRatio, s.right, s.up, s.log, s.limits, s.front, s.dominated, color]);
    if (plot.key !== key) {
      plot.axes = plot === lines ? d.labels.map((_, j) => axis(j, true, 48 + (j * (w - 96)) / (d.labels.length - 1), h - 26, 58))
        : [axis(s.right, false, h - 40, 60, w - 18, s.log && d.best[s.right] > 0), axis(s.up, true, 46, h - 54, 36)];
      below(plot, w, h, pen(base, w, h), color, faint, ink, soft);
    }
    plot.key = key;
    const { line, write } = pen(top, w, h);
    for (const { j, at, to, upright } of plot.axes) {
      const [a, b] = s.limits[j].map((v) => to(Math.min(Math.max(v, d.best[j]), d.worst[j])));
      if (`${s.limits[j]}` !== `${d.ends[j].slice(0, 2)}`) line(upright ? `M${at} ${a}V${b}` : `M${a} ${at}H${b}`, color, 0.6, 6);
    }
    for (const [i, name] of hover === null ? p.marks : [[hover, "hover"], ...p.marks]) {
      if (plot === lines) line(`M${places(plot, i).join("L")}`, hue(name), 1, 2.5);
      for (const [x, y] of places(plot, i)) write(GLYPHS[name], x, y, hue(name), "center", "20px sans-serif", halo);
    }
  }

  function pen(canvas, w, h, r = devicePixelRatio) {
    const c = Object.assign(canvas, { width: w * r, height: h * r }).getContext("2d");
    c.scale(r, r);
    const line = (d, strokeStyle, globalAlpha = 1, lineWidth = 1.2, how = "stroke") =>
      Object.assign(c, { strokeStyle, fillStyle: strokeStyle, globalAlpha, lineWidth, lineCap: "round" })[how](new Path2D(d));
    const write = (words, x, y, fillStyle, textAlign = "center", font = "12px sans-serif", halo = "#0000") => {
      Object.assign(c, { fillStyle, strokeStyle: halo, textAlign, font, globalAlpha: 1, lineWidth: 3, textBaseline: "middle" });
      c.strokeText(words, x, y), c.fillText(words, x, y);
    };
    return { line, write };
  }

  function below(plot, w, h, { line, write }, color, faint, ink, soft) {
    const outside = d.finite.filter((i) => !p.rank.has(i)), steps = new Set(p.steps), thin = Math.min(0.45, 0.07 + 20 / d.finite.length);
    for (const { j, upright, at, to } of plot.axes) {
      if (plot === lines) {
        line(`M${at} 58V${h - 26}`, soft, 0.6), write(d.labels[j], at, d.labels.length > 5 && j % 2 ? 12 : 28, ink);
        write(short(d.worst[j], 3), at, 46, soft), write(short(d.best[j], 3), at, h - 12, soft);
        continue;
      }
      write(upright ? `↑ ${d.labels[j]}` : `${d.labels[j]} →`, upright ? 2 : w - 4, upright ? 12 : h - 8, ink, upright ? "start" : "end");
      for (const v of to.ticks) line(upright ? `M46 ${to(v)}H${w}` : `M${to(v)} 26V${at}`, soft, 0.25);
      for (const v of to.ticks) write(short(v), ...(upright ? [40, to(v), soft, "end"] : [to(v), at + 14, soft]));
    }
    const thread = (style) => (i) => line(`M${places(plot, i).join("L")}`, style, thin);
    if (plot === lines) return outside.forEach(thread(faint)), p.shown.forEach(thread(color));
    const each = (rows, shape) => join(rows, (i, k) => shape(...places(plot, i)[0], k));
    const ring = (x, y) => `M${x - 3.5} ${y}a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0`;
    line(each(outside, (x, y) => `M${x - 2.5} ${y - 2.5}l5 5m0-5l-5 5`), faint, 0.6);
    if (s.dominated) line(each(p.shown.filter((i) => !steps.has(i)), ring), color, 0.6);
    line(each(p.steps, (x, y, k) => (k ? `H${x}V${y}` : `M${x} ${y}`)), color, 0.9, 1.6);
    line(each(p.steps, ring), color, 1, 1, "fill");
  }

  function nearest(plot, x, y) {
    const far = (q, k = Math.max(1, q.findIndex(([u]) => u >= x)), [[a, b], [u, v] = []] = q.slice(k - 1)) =>
      plot === front ? Math.hypot(q[0][0] - x, q[0][1] - y) : Math.abs(b + ((x - a) / (u - a)) * (v - b) - y);
    const rows = plot === front ? d.finite : p.shown, gaps = rows.map((i) => far(places(plot, i))), least = Math.min(...gaps);
    return least < 14 ? rows[gaps.indexOf(least)] : null;
  }

  function strip(layers) { // a bar for each layer: height is its expand ratio, number and colour its kernel size
    const { depth, kernels, expands } = d, left = (n) => n * 20 + Math.floor(n / depth) * 10 + 1;
    const bar = (look, n, high, text = "") => `<rect ${look} x="${left(n)}" y="${57 - high}" width="17" height="${high}"/>${text}`;
    const bars = join([...layers], (c, n, _, gene = c.charCodeAt() - 49, k = gene % kernels.length) => gene < 0
      ? bar('class="skipped"', n, 56)
      : bar(`fill="${kernels[k][1]}"`, n, (56 * expands[Math.floor(gene / kernels.length)]) / expands.at(-1),
        `<text x="${left(n) + 8.5}" y="53">${kernels[k][0]}</text>`));
    return `<svg viewBox="0 0 ${left(layers.length)} 58" preserveAspectRatio="xMinYMid" aria-hidden="true">${bars}</svg>`;
  }

  function tell() { // in words, as cards, and as a table
    const { row, rows } = p, focus = shadow.activeElement?.dataset.i;
    const by = s.picked === null ? d.methods.find(([, value]) => value === s.method)[0] : "hand";
    const all = row === null ? whyEmpty(d, s.limits) : `Chosen by ${by}: ${d.names[row]}`;
    const words = [all, row === null ? "" : tradeOff(d, s, rows, row), "", s.said];
    $$(".say p").forEach((line, k) => (line.textContent = words[k]));
    front.top.ariaLabel = `Archive of ${d.F.length} architectures, ${rows.length} within the limits; ${d.labels[s.up]} against ${
      d.labels[s.right]}. ${all}${row === null ? "" : `: ${figures(row)}.`}`;
    lines.top.ariaLabel = `All objectives as parallel coordinates. ${all}`;
    const card = ([i, name]) => `<div class="panel card"><b><i class="${name}">${GLYPHS[name]}</i> ${name}: ${
      escaped(d.names[i])}</b>${strip(d.layers[i])}<small>${d.notes[i]}; ${escaped(figures(i))}</small></div>`;
    $$(".card").forEach((old) => old.remove());
    $(".cards").insertAdjacentHTML("beforeend", join([...p.marks.slice(s.kept.length), ...p.marks.slice(0, s.kept.length)], card));
    const first = p.table.includes(row) ? row : p.table[0], names = new Map(p.marks), cell = (words) => `<td>${words}</td>`;
    $("tbody").innerHTML = join(p.table.slice(0, 50), (i) => `<tr data-i="${i}" tabindex="${-(i !== first)}" aria-current="${i === row}">${
      join([p.rank.get(i), `${escaped(d.names[i])} ${GLYPHS[names.get(i)] ?? ""}`, ...d.F[i].map((v) => short(v))], cell)}</tr>`);
    $(`tr[data-i="${focus}"]`)?.focus();
    for (const button of $$("th button"))
      button.parentElement.ariaSort = Number(button.dataset.sort) !== s.sort ? "none" : s.down ? "descending" : "ascending";
    $(".count").textContent = `${p.shown.length} subnets${p.shown.length > 50 ? ", the first 50 shown" : ""}`;
    clearTimeout(settled);
    if (row !== null && d.pictures.some(Boolean)) settled = setTimeout(() => ($$(".say p")[2].textContent = doubts(d, s, p.order, row)), 250);
  }

  function show() { // the state in the controls
    $(".app").dataset.method = s.method;
    for (const box of $$("input, select")) {
      const { name, type, min, max, dataset: { j } } = box, k = ["low", "high"].indexOf(name), track = box.parentElement;
      const v = k >= 0 ? s.limits[j][k] : j ? s[name][j] : s[name];
      box[type === "checkbox" ? "checked" : "value"] = v;
      if (type !== "range") continue;
      track.style.setProperty(k ? "--b" : "--a", `${(100 * (v - min)) / (max - min)}%`);
      track.nextElementSibling.textContent = k < 0 ? short(v) : range(s.limits[j]);
      box.disabled = name === "weights" && s.method === "knee";
    }
    $$(".tile small").forEach((out, j) => (out.textContent = `reachable: ${range(p.rows.map((i) => d.F[i][j]))}`));
    $("[name=export]").hidden = !(d.exports && group.models.size);
  }

  function update() {
    const is = (query) => document.querySelector(query), night = matchMedia("(prefers-color-scheme: dark)").matches;
    const dark = is('[data-jp-theme-light="false"], html[data-theme="dark"], body.vscode-dark')
      || (night && !is('[data-jp-theme-light], html[data-theme="light"], body.vscode-light, .reveal'));
    root.style.colorScheme = dark ? "dark" : "light";
    waiting = 0;
    if (root.clientWidth) decide(), tell(), show(), draw(front), draw(lines);
  }

  function download() {
    const rows = [["architecture", ...d.labels], ...p.table.map((i) => [d.names[i], ...d.F[i]])];
    const text = rows.map((row) => row.map((v) => `"${v}"`).join()).join("\n");
    const href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    Object.assign(document.createElement("a"), { href, download: "subnets.csv" }).click();
  }

  shadow.addEventListener("click", (event) => {
    const { name, dataset: { i, sort } = {} } = event.target.closest("button, tr") ?? {};
    if (sort) set({ sort: Number(sort), down: s.sort === Number(sort) && !s.down });
    else if (i) pick(Number(i), event);
    else if (name === "csv") download();
    else if (name === "reset") set(d.start);
    else if (name === "export") [...group.models][0].send("export");
    else if (name === "keep" && p.row !== null && !s.kept.includes(p.row)) keep(p.row);
  });
  shadow.addEventListener("input", ({ target: { name, type, value, checked, dataset: { j } } }) => {
    const v = type === "checkbox" ? checked : name === "method" ? value : Number(value), [low, high] = s.limits[j] ?? [];
    if (name === "low") limit(j, Math.min(v, high), high);
    else if (name === "high") limit(j, low, Math.max(v, low));
    else set({ [name]: j ? s[name].with(j, v) : v, ...(j || name === "method" ? { picked: null } : {}) });
  });
  const plain = (event) => !event.ctrlKey && !event.metaKey; // JupyterLab and slides have their own use for arrows
  addEventListener("keydown", (event) => root.toggleAttribute("data-lm-suppress-shortcuts", plain(event)), true);
  root.addEventListener("keydown", (event) => {
    const row = event.composedPath()[0].closest("tr[data-i]");
    const next = row?.[{ ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key]];
    if (plain(event)) event.stopPropagation();
    if (row && event.key === "Enter") pick(Number(row.dataset.i), event);
    if (next) next.focus(), event.preventDefault();
  });
  for (const plot of [front, lines]) {
    const { box, top } = plot, place = (event) => [event.offsetX, event.offsetY];
    const axis = ([x, y]) => plot.axes.find(({ at, upright }) => plot === lines ? Math.abs(x - at) < 12 : upright ? x < 46 : y > at);
    const hold = (i) => hover !== i && ((hover = i), draw(front), draw(lines));
    let held = null, from;
    const value = (event, { j, to, upright } = held, [low, high, step] = d.ends[j]) =>
      Number((Math.round(Math.min(Math.max(to.back(place(event)[Number(upright)]), low), high) / step) * step).toPrecision(9));
    top.onpointerdown = (event) => { // on an axis: drag out a limit; a click takes it away
      held = axis(place(event)) ?? null;
      if (held) (from = value(event)), top.setPointerCapture(event.pointerId), limit(held.j, ...d.ends[held.j]);
    };
    top.onpointerup = () => setTimeout(() => (held = null));
    top.onpointermove = (event) => {
      if (held) return value(event) !== from && limit(held.j, from, value(event));
      const [x, y] = place(event), i = axis([x, y]) ? null : nearest(plot, x, y), rank = p.rank.get(i);
      top.style.cursor = axis([x, y]) ? "crosshair" : i === null ? "" : "pointer";
      hold(i), (tip.hidden = i === null);
      if (i === null) return;
      tip.innerHTML = [d.names[i], rank ? `rank ${rank} of ${p.rows.length}` : "outside the limits", ...figures(i).split(", ")].map(escaped).join("<br>");
      box.append(tip), Object.assign(tip.style, { left: `${Math.min(x + 14, box.clientWidth - 190)}px`, top: `${y + 14}px` });
    };
    top.onpointerleave = () => (hold(null), (tip.hidden = true));
    top.onclick = (event, i = held ? null : nearest(plot, ...place(event))) => i !== null && pick(i, event);
  }

  const view = () => (waiting ||= requestAnimationFrame(update));
  group.views.add(view), view();
  for (const { box } of [front, lines]) new ResizeObserver(view).observe(box);
  for (const outer of [document.body, document.documentElement]) new MutationObserver(view).observe(outer, { attributes: true });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", view);
}
