"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id);
const pageSize = 60;
let category = data.categories[0];
let threshold = 0;
let axis;
let shown = pageSize;

/** An element with attributes and children; text is always text, never markup. */
function element(tag, attributes, ...children) {
  const svg = ["svg", "path", "line", "rect", "text", "circle", "image", "title", "g"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A score in as many digits as tell scores apart. */
const score = value => value === null ? "n/a" : Number(value).toPrecision(4);
const share = value => value === null || Number.isNaN(value) ? "n/a" : value.toFixed(4);
const percent = (part, whole) => whole === 0 ? "n/a" : (100 * part / whole).toFixed(1) + " %";
const metric = (list, name) => list.find(m => m.name === name);

function fill(list, pairs) {
  list.replaceChildren(...pairs.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

function header() {
  at("title").textContent = `${data.model} on ${data.dataSet}`;
  document.title = `KernelAD: ${at("title").textContent}`;
  at("subtitle").textContent = `${data.images} test pictures in ${data.categories.length} ${data.categories.length === 1 ? "category" : "categories"}, ${data.date}`;
  fill(at("facts"), data.facts);
  at("ran").textContent = data.ran;
}

function categoryTable() {
  const names = data.headline;
  const row = (kind, name, counts, values) => element("tr", kind ? { class: kind } : {}, element("th", { scope: "row" }, name),
    ...counts.map(c => element("td", {}, c)), ...values.map(v => element("td", v?.reason ? { title: v.reason } : {}, v ? share(v.value) : "n/a")));
  const head = element("tr", {}, ...["category", "good", "anomalous", ...names.map(n => data.labels[n] ?? n)].map(n => element("th", { scope: "col" }, n)));
  const rows = data.categories.map(c => row(c === category ? "selected" : "", c.name, [c.good, c.anomalous], names.map(n => metric(c.metrics, n))));
  const skipped = n => metric(data.means, n)?.skipped ?? 0;
  const foot = element("tr", {}, element("th", { scope: "row" }, "mean"), element("td", {}), element("td", {}),
    ...names.map(n => element("td", {}, share(metric(data.means, n)?.value ?? null) + (skipped(n) ? ` (${skipped(n)} n/a)` : ""))));
  at("categories").replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows), ...(data.categories.length > 1 ? [element("tfoot", {}, foot)] : []));
  at("categories").hidden = data.categories.length === 1;
}

function cards() {
  at("cards").replaceChildren(...category.metrics.filter(m => m.value === null || data.headline.includes(m.name)).map(m =>
    element("div", m.reason ? { title: m.reason } : {}, element("b", {}, m.value === null ? "n/a" : share(m.value)), data.labels[m.name] ?? m.name)));
  const missing = category.metrics.filter(m => m.reason);
  at("reasons").textContent = missing.length ? "n/a: " + missing.map(m => `${data.labels[m.name] ?? m.name}, ${m.reason}`).join("; ") : "";
}

/** A picture is judged NOK where its score reaches the threshold. */
const rejected = picture => picture.score >= threshold;
const isWrong = picture => picture.anomalous !== rejected(picture);

function confusion() {
  const count = (anomalous, reject) => category.pictures.filter(p => p.anomalous === anomalous && rejected(p) === reject).length;
  const [tp, fn, fp, tn] = [count(true, true), count(true, false), count(false, true), count(false, false)];
  for (const [id, value] of Object.entries({ tp, fn, fp, tn })) at(id).textContent = value;
  fill(at("rates"), [
    ["recall", percent(tp, tp + fn)], ["precision", percent(tp, tp + fp)],
    ["false-reject rate", percent(fp, fp + tn)], ["false-accept rate", percent(fn, fn + tp)],
    ["F1", tp + fn === 0 ? "n/a" : (2 * tp / (2 * tp + fp + fn)).toFixed(4)], ["right", percent(tp + tn, tp + tn + fp + fn)],
  ]);
}

/** How well each kind of defect is told from the good pictures, and how many are found at the threshold. */
function kinds() {
  const good = category.pictures.filter(p => !p.anomalous).map(p => p.score);
  const groups = Map.groupBy(category.pictures.filter(p => p.anomalous), p => p.defect);
  const cells = (tag, values) => element("tr", {}, element("th", { scope: tag === "th" ? "col" : "row" }, values[0]), ...values.slice(1).map(v => element(tag, {}, v)));
  at("kinds").replaceChildren(element("thead", {}, cells("th", ["defect", "pictures", "found", "recall", "AUROC"])), element("tbody", {}, ...[...groups].sort().map(([kind, pictures]) => {
    const found = pictures.filter(rejected).length;
    const wins = pictures.reduce((sum, p) => sum + good.reduce((s, g) => s + (p.score > g ? 1 : p.score === g ? .5 : 0), 0), 0);
    return cells("td", [kind, pictures.length, found, percent(found, pictures.length), good.length ? share(wins / good.length / pictures.length) : "n/a"]);
  })));
  at("kinds").hidden = groups.size === 0;
}

/** The axis of scores: from the lowest to the highest, as shares from 0 to 1; logarithmic where a long tail would take all the room. */
function makeAxis() {
  const scores = category.pictures.map(p => p.score).sort((a, b) => a - b);
  const [low, median, high] = [scores[0], scores[scores.length >> 1], scores.at(-1)];
  const logarithmic = low > 0 && high > 8 * median;
  const [from, to] = logarithmic ? [Math.log(low), Math.log(high)] : [low, high];
  const span = to - from || 1;
  return {
    low, high, logarithmic,
    share: value => ((logarithmic ? value > 0 ? Math.log(value) : from : value) - from) / span,
    value: share => logarithmic ? Math.exp(from + span * share) : from + span * share,
  };
}

function histogram() {
  const [width, height, bottom] = [640, 220, 26];
  const bins = 40;
  const counts = [new Array(bins).fill(0), new Array(bins).fill(0)];
  for (const p of category.pictures) counts[p.anomalous ? 1 : 0][Math.min(bins - 1, Math.floor(axis.share(p.score) * bins))]++;
  const top = Math.max(...counts[0], ...counts[1], 1);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Histogram of image scores, good and anomalous" });
  const step = (width - 16) / bins;
  for (let i = 0; i < bins; i++) {
    counts.forEach((c, kind) => {
      const size = (height - bottom - 24) * c[i] / top;
      if (size) svg.append(element("rect", { class: kind ? "bar-bad" : "bar-good", x: 8 + i * step + kind * step / 2, y: height - bottom - size, width: step / 2 - .5, height: size, rx: 1 },
        element("title", {}, `${c[i]} ${kind ? "anomalous" : "good"} from ${score(axis.value(i / bins))} to ${score(axis.value((i + 1) / bins))}`)));
    });
  }
  svg.append(element("line", { class: "axis", x1: 8, x2: width - 8, y1: height - bottom, y2: height - bottom }));
  for (const [i, anchor] of [[0, "start"], [.25, "middle"], [.5, "middle"], [.75, "middle"], [1, "end"]]) {
    svg.append(element("text", { x: 8 + (width - 16) * i, y: height - 8, "text-anchor": anchor }, score(axis.value(i))));
  }
  svg.append(
    element("text", { x: 8, y: 13 }, axis.logarithmic ? "image score, logarithmic" : "image score"),
    element("rect", { class: "bar-good", x: width - 210, y: 4, width: 10, height: 10, rx: 2 }), element("text", { x: width - 195, y: 13 }, `good (${category.good})`),
    element("rect", { class: "bar-bad", x: width - 118, y: 4, width: 10, height: 10, rx: 2 }), element("text", { x: width - 103, y: 13 }, `anomalous (${category.anomalous})`),
    element("line", { id: "threshold-line", class: "threshold", y1: 20, y2: height - bottom }));
  at("histogram").replaceChildren(svg);
}

function moveLine() {
  const x = 8 + 624 * Math.min(1, Math.max(0, axis.share(threshold)));
  for (const name of ["x1", "x2"]) at("threshold-line").setAttribute(name, x);
}

/** A plot of the unit square, or of the part left of `limit`, with gridlines and labels. */
function plot(title, value, points, labels, options = {}) {
  const [width, height, left, bottom, right, top] = [330, 260, 44, 34, 8, 8];
  const limit = options.limit ?? 1;
  const x = v => left + (width - left - right) * v / limit;
  const y = v => height - bottom - (height - bottom - top) * v;
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  for (let i = 0; i <= 4; i++) {
    svg.append(
      element("line", { class: "grid", x1: x(limit * i / 4), x2: x(limit * i / 4), y1: y(0), y2: y(1) }), element("line", { class: "grid", x1: x(0), x2: x(limit), y1: y(i / 4), y2: y(i / 4) }),
      element("text", { x: x(limit * i / 4), y: height - bottom + 14, "text-anchor": "middle" }, String(+(limit * i / 4).toFixed(3))),
      element("text", { x: left - 5, y: y(i / 4) + 4, "text-anchor": "end" }, String(i / 4)));
  }
  svg.append(element("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, labels[0]),
    element("text", { x: 10, y: (height - bottom + top) / 2, "text-anchor": "middle", transform: `rotate(-90 10 ${(height - bottom + top) / 2})` }, labels[1]));
  if (options.chance) svg.append(element("line", { class: "chance", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }));
  if (points.length) {
    const inside = clip(points, limit);
    const line = inside.map(([a, b], i) => `${i === 0 ? "M" : options.steps ? `V${y(b).toFixed(1)}H` : "L"}${x(a).toFixed(1)}${i === 0 || !options.steps ? " " + y(b).toFixed(1) : ""}`).join("");
    if (options.area) svg.append(element("path", { class: "limit", d: `${line}L${x(inside.at(-1)[0])} ${y(0)}L${x(inside[0][0])} ${y(0)}Z` }));
    svg.append(element("path", { class: "curve", d: line }));
  } else {
    svg.append(element("text", { x: x(limit / 2), y: y(.5), "text-anchor": "middle" }, "n/a"));
  }
  if (options.id) svg.append(element("circle", { id: options.id, class: "point", r: 4.5 }));
  return element("figure", {}, element("figcaption", {}, title, element("b", {}, value)), svg);
}

/** The part of a curve up to a limit in x, ended by interpolation. */
function clip(points, limit) {
  const inside = points.filter(([a]) => a <= limit);
  const next = points[inside.length];
  if (next && inside.length && inside.at(-1)[0] < limit) {
    const [a, b] = inside.at(-1);
    inside.push([limit, b + (next[1] - b) * (limit - a) / (next[0] - a)]);
  }
  return inside;
}

function curves() {
  const image = name => share(category.image[name]);
  const pixel = name => category.pixel[name] ?? "";
  at("curves").replaceChildren(
    plot("Images: ROC", `AUROC ${image("auroc")}`, category.curves.imageRoc, ["false-reject rate", "recall"], { chance: true, id: "roc-point" }),
    plot("Images: precision and recall", `AP ${image("ap")}`, category.curves.imagePr, ["recall", "precision"], { steps: true, id: "pr-point" }),
    plot("Pixels: ROC", pixel("roc"), category.curves.pixelRoc, ["false-positive rate", "recall"], { chance: true }),
    plot("Pixels: precision and recall", pixel("pr"), category.curves.pixelPr, ["recall", "precision"], {}),
    plot("Regions: PRO up to FPR 0.3", pixel("pro"), category.curves.pro, ["false-positive rate", "per-region overlap"], { limit: .3, area: true }));
  movePoints();
}

function movePoints() {
  const good = category.pictures.filter(p => !p.anomalous), bad = category.pictures.filter(p => p.anomalous);
  const [fp, tp] = [good.filter(rejected).length, bad.filter(rejected).length];
  const place = (id, a, b) => {
    const point = at(id);
    point.setAttribute("visibility", Number.isFinite(a + b) ? "visible" : "hidden");
    if (Number.isFinite(a + b)) {
      point.setAttribute("cx", 44 + 278 * a);
      point.setAttribute("cy", 226 - 218 * b);
    }
  };
  place("roc-point", fp / good.length, tp / bad.length);
  place("pr-point", tp / bad.length, tp / (tp + fp));
}

const orders = {
  high: (a, b) => b.score - a.score,
  low: (a, b) => a.score - b.score,
  name: (a, b) => a.name < b.name ? -1 : 1,
  // How far a picture is on the wrong side of the threshold.
  worst: (a, b) => error(b) - error(a),
};
const error = p => (axis.share(threshold) - axis.share(p.score)) * (p.anomalous ? 1 : -1);

const filters = {
  all: () => true,
  fa: p => p.anomalous && !rejected(p),
  fr: p => !p.anomalous && rejected(p),
  anomalous: p => p.anomalous,
  good: p => !p.anomalous,
};

function gallery() {
  const chosen = category.pictures.filter(filters[at("filter").value]).sort(orders[at("sort").value]);
  const embedded = category.pictures.filter(p => p.view).length;
  at("gallery-note").textContent = `${chosen.length} of ${category.pictures.length} pictures; ${embedded === category.pictures.length ? "all" : embedded} are embedded with their maps`
    + (embedded < category.pictures.length ? ": the good ones with the highest scores and the anomalous ones with the lowest" : "")
    + `. From left to right: the picture, its raw anomaly map laid over it, the ground truth. All maps share one colour scale.`;
  at("gallery").replaceChildren(...chosen.slice(0, shown).map(card));
  at("more").hidden = chosen.length <= shown;
}

function card(picture) {
  const wrong = isWrong(picture);
  const verdict = rejected(picture) ? picture.anomalous ? "true reject" : "false reject" : picture.anomalous ? "false accept" : "true accept";
  return element("figure", { "data-score": picture.score }, views(picture), element("figcaption", {},
    element("b", {}, score(picture.score)), element("span", { class: `tag ${wrong ? "wrong" : "right"}` }, verdict),
    element("span", {}, picture.anomalous ? picture.defect : "good"), element("span", { class: "name" }, picture.name + (picture.remark ? `: ${picture.remark}` : ""))));
}

function views(picture) {
  if (!picture.view) return element("div", { class: "views" }, element("div", { class: "none" }, "not embedded"));
  const v = picture.view;
  const size = { width: v.width, height: v.height };
  const truth = element("svg", { viewBox: `0 0 ${v.width} ${v.height}`, role: "img", "aria-label": `ground truth of ${picture.name}` },
    element("image", { ...size, href: v.picture }), ...(v.outline ? [element("path", { class: "truth", d: v.outline, "fill-rule": "evenodd" })] : []));
  return element("div", { class: "views" }, element("img", { ...size, src: v.picture, alt: picture.name, loading: "lazy" }),
    element("img", { ...size, src: v.overlay, alt: `anomaly map over ${picture.name}`, loading: "lazy" }), truth);
}

function setThreshold(value, fromSlider) {
  threshold = value;
  if (!fromSlider) at("threshold").value = Math.round(1000 * axis.share(value));
  at("threshold-value").textContent = score(value);
  confusion();
  kinds();
  moveLine();
  movePoints();
  gallery();
}

/** The model's or the best one; without either nothing is rejected. */
const initialThreshold = () => setThreshold(category.threshold ?? axis.high + Math.abs(axis.high) * 1e-6, false);

function choose(name) {
  category = data.categories.find(c => c.name === name);
  shown = pageSize;
  axis = makeAxis();
  at("threshold-origin").textContent = category.thresholdOrigin;
  at("scale").style.backgroundImage = `url(${category.scale.bar})`;
  at("scale-low").textContent = Math.abs(category.scale.low) < 1e-6 * Math.abs(category.scale.high) ? "0" : score(category.scale.low);
  at("scale-high").textContent = score(category.scale.high);
  categoryTable();
  cards();
  histogram();
  curves();
  initialThreshold();
}

function problems() {
  at("problem-list").replaceChildren(...[...data.problems, ...data.remarks].map(text => element("li", {}, text)));
  at("problems").hidden = data.problems.length + data.remarks.length === 0;
}

header();
problems();
at("category").replaceChildren(...data.categories.map(c => element("option", { value: c.name }, c.name)));
at("category-picker").hidden = data.categories.length === 1;
at("category").addEventListener("change", () => choose(at("category").value));
at("threshold").addEventListener("input", () => {
  // The right end is above the highest score, so that nothing can be rejected; the left end is the lowest one: everything is.
  const share = at("threshold").value / 1000;
  setThreshold(share === 0 ? axis.low : axis.value(share) + (share === 1 ? Math.abs(axis.high) * 1e-6 : 0), true);
});
at("reset").addEventListener("click", initialThreshold);
at("filter").addEventListener("change", () => { shown = pageSize; gallery(); });
at("sort").addEventListener("change", () => { shown = pageSize; gallery(); });
at("more").addEventListener("click", () => { shown += pageSize; gallery(); });
choose(data.categories[0].name);
