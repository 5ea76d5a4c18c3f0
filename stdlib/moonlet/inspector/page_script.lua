-- The script of the page. Texts of the program become text nodes, never HTML.

return [=[
"use strict";
const $ = id => document.getElementById(id);
const make = (tag, text, name) => {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (name) node.className = name;
  return node;
};
const svg = (tag, attributes, text) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  return node;
};

// ---- asking ----

function banner(text) {
  $("banner").hidden = !text;
  if (text && $("banner").textContent !== text) $("banner").textContent = text;
}

async function ask(path, body) {
  let answer, reply;
  try {
    answer = await fetch(path, body && {method: "POST", body: JSON.stringify(body)});
    reply = await answer.json();
  } catch (problem) {
    banner("The program has ended, or its inspector cannot be reached.");
    throw problem;
  }
  if (answer.status === 504 || answer.status === 503) banner(reply.error);
  else if (path === "/state" || answer.ok) banner("");
  if (!answer.ok) throw new Error(reply.error);
  return reply;
}

// ---- tabs ----

const tabs = ["tasks", "stacks", "waits", "durable", "workers", "metrics",
  "profile"];
let tab = "tasks";
function choose(name) {
  tab = name;
  for (const other of tabs) {
    $(other).hidden = other !== name;
    $("tab-" + other).setAttribute("aria-selected", other === name);
    $("tab-" + other).tabIndex = other === name ? 0 : -1;
  }
  refresh();
}
for (const name of tabs) {
  const button = $("tab-" + name);
  button.onclick = () => choose(name);
  button.onkeydown = event => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(name) + step + tabs.length) % tabs.length];
    choose(next);
    $("tab-" + next).focus();
  };
}

// ---- tasks: a list of which only the visible rows exist ----

const HEIGHT = 28;
let tasks = [], shown = [], selected = null, order = {key: "id", up: true};
const columns = [["id", "id"], ["name", "name"], ["state", "state"], ["age", "age"],
  ["cpu", "cpu"], ["switches", "switches"], ["waits", "waits for"]];
const age = s => s >= 3600 ? (s / 3600).toFixed(1) + " h" : s >= 60 ? (s / 60).toFixed(1) + " m" :
  s.toFixed(1) + " s";
const nameOf = t => t.name === undefined ? "#" + t.id : t.name;
const waitOf = t => {
  const on = t.on || {};
  const who = on.task ? " " + (on.name || "#" + on.task) : "";
  return t.waits_for ? t.waits_for + who : "";
};
// CPU time is counted from the first look on.
const cpu = t => t.cpu === undefined ? "" : t.cpu.toFixed(3) + " s";
const cells = t => [t.id, nameOf(t), t.state, age(t.age || 0), cpu(t), t.switches, waitOf(t)];
const value = (t, key) => key === "waits" ? waitOf(t) : key === "name" ? nameOf(t) :
  key === "cpu" ? t.cpu || 0 : t[key];

function filter() {
  const text = $("search").value.toLowerCase();
  shown = tasks.filter(t => !text || (nameOf(t) + " " + t.state + " " + waitOf(t) + " " +
    (t.spawned || "") + " #" + t.id).toLowerCase().includes(text));
  const sign = order.up ? 1 : -1;
  shown.sort((a, b) => {
    const x = value(a, order.key), y = value(b, order.key);
    return (x < y ? -1 : x > y ? 1 : a.id - b.id) * sign;
  });
  draw();
}

function draw() {
  const list = $("list"), box = $("rows");
  list.style.height = shown.length * HEIGHT + "px";
  const first = Math.max(0, Math.floor(box.scrollTop / HEIGHT) - 5);
  const last = Math.min(shown.length, first + Math.ceil(box.clientHeight / HEIGHT) + 10);
  const rows = [];
  for (let i = first; i < last; i++) {
    const t = shown[i], row = make("div", undefined, "row");
    row.setAttribute("role", "row");
    row.setAttribute("aria-selected", selected === t.id);
    row.style.top = i * HEIGHT + "px";
    cells(t).forEach((text, j) => {
      const cell = make("span", text, j === 0 || (j >= 3 && j <= 5) ? "number" : "");
      cell.title = text;
      row.append(cell);
    });
    row.onclick = () => select(t.id);
    rows.push(row);
  }
  list.replaceChildren(...rows);
}
$("rows").onscroll = draw;
$("search").oninput = filter;
$("rows").onkeydown = event => {
  const step = {ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15}[event.key];
  if (!step || !shown.length) return;
  event.preventDefault();
  const at = shown.findIndex(t => t.id === selected);
  const next = Math.min(shown.length - 1, Math.max(0, at + step));
  select(shown[next].id);
  const box = $("rows"), top = next * HEIGHT;
  if (top < box.scrollTop || top > box.scrollTop + box.clientHeight - 3 * HEIGHT)
    box.scrollTop = Math.max(0, top - box.clientHeight / 2);
};

for (const [key, text] of columns) {
  const button = make("button", text);
  button.onclick = () => {
    order = {key, up: order.key === key ? !order.up : true};
    for (const other of $("head").children) other.removeAttribute("aria-sort");
    button.setAttribute("aria-sort", order.up ? "ascending" : "descending");
    filter();
  };
  $("head").append(button);
}

const frameText = f => f.omitted ? "... (" + f.omitted + " calls)" :
  (f.what === "C" ? "[C]" : (f.source || "?") + ":" + (f.line || "?")) + ": " +
  (f.name || (f.what === "main" ? "main chunk" : "function"));

async function select(id) {
  selected = id;
  draw();
  const answer = await ask("/tasks?id=" + id);
  const t = answer.tasks[0];
  if (selected !== id) return;
  $("detail").hidden = false;
  $("detail-title").textContent = t ? nameOf(t) : "#" + id + " has ended";
  $("detail-about").textContent = t ? [t.state, waitOf(t) && "waits for " + waitOf(t),
    t.spawned && "spawned at " + t.spawned, t.deadline && "deadline in " + age(t.deadline),
    t.cancelled && "cancelled", t.daemon && "daemon"].filter(Boolean).join(" \u00b7 ") : "";
  const stack = $("detail-stack");
  stack.replaceChildren();
  $("level").replaceChildren();
  (t && t.stack || []).forEach((f, i) => {
    stack.append(frameText(f) + "\n");
    if (f.omitted) return;
    const option = make("option", i + ": " + frameText(f));
    option.value = i;
    $("level").append(option);
  });
}

$("cancel").onclick = () => {
  if (confirm("Cancel task " + $("detail-title").textContent + "?"))
    ask("/cancel", {task: selected}).then(refresh, problem => alert(problem.message));
};
async function evaluate() {
  const body = {code: $("code").value, task: selected, level: +$("level").value || 0};
  $("result").textContent = "...";
  try {
    const answer = await ask("/evaluate", body);
    $("result").textContent = answer.texts.join("\n") || (answer.ok ? "(no values)" : "");
  } catch (problem) { $("result").textContent = problem.message; }
}
$("evaluate").onclick = evaluate;
$("code").onkeydown = event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) evaluate();
};
$("close").onclick = () => { $("detail").hidden = true; selected = null; draw(); };

async function showTasks() {
  const answer = await ask("/tasks?stack=0&limit=100000");
  tasks = answer.tasks;
  $("summary").textContent = answer.count + " tasks";
  filter();
}

// ---- by stack ----

async function showStacks() {
  const answer = await ask("/tasks?group=1&limit=500");
  answer.tasks.sort((a, b) => b.count - a.count);
  $("groups").replaceChildren(...answer.tasks.map(g => {
    const box = make("div", undefined, "panel group");
    box.append(make("h2", g.count + (g.count === 1 ? " task, " : " tasks, ") + g.state +
      (g.waits_for ? ", waits for " + g.waits_for : "")));
    const names = (g.tasks || []).map(t => typeof t === "object" ? nameOf(t) : "#" + t);
    box.append(make("div", names.join(", ") + (g.count > names.length ? ", ..." : ""), "dim"));
    box.append(make("pre", (g.stack || []).map(frameText).join("\n")));
    return box;
  }));
}

// ---- waits: a column for each step towards the task that all wait for ----

async function showWaits() {
  const graph = await ask("/waits");
  const edges = graph.edges.slice(0, 400), nodes = new Map(), out = new Map();
  for (const e of edges) {
    nodes.set(e.from, e.from_name === undefined ? "#" + e.from : e.from_name);
    if (!nodes.has(e.to)) nodes.set(e.to, e.to_name === undefined ? "#" + e.to : e.to_name);
    out.set(e.from, e);
  }
  const dead = new Set(graph.circles.flat()), depth = new Map();
  const depthOf = id => {
    if (depth.has(id)) return depth.get(id);
    depth.set(id, 0);
    const e = out.get(id);
    const d = e ? depthOf(e.to) + 1 : 0;
    depth.set(id, d);
    return d;
  };
  const levels = [], place = new Map();
  for (const id of nodes.keys()) {
    const d = depthOf(id);
    (levels[d] = levels[d] || []).push(id);
  }
  levels.forEach((ids, d) => (ids || []).forEach((id, i) => place.set(id, [d, i])));
  const W = 240, H = 46, most = Math.max(1, ...levels.map(l => l ? l.length : 0));
  const picture = svg("svg", {width: levels.length * W + 20, height: most * H + 70, role: "img"});
  const at = id => {
    const [d, i] = place.get(id);
    return [(levels.length - 1 - d) * W + 10, i * H + 10];
  };
  for (const e of edges) {
    const [x1, y1] = at(e.from), [x2, y2] = at(e.to);
    const red = dead.has(e.from) && dead.has(e.to);
    const color = red ? "var(--bad)" : "var(--dim)";
    const y = y1 + 15, end = y2 + 15, back = x2 <= x1, a = x1 + 85, b = x2 + 85;
    const path = svg("path", {fill: "none", stroke: color, "stroke-width": red ? 2.5 : 1.2,
      d: back ? `M${a},${y + 15} C${a},${y + 65} ${b},${end + 65} ${b},${end + 15}` :
        `M${x1 + 170},${y} C${x1 + 215},${y} ${x2 - 45},${end} ${x2},${end}`});
    path.append(svg("title", {}, e.waits_for || ""));
    const dot = {cx: back ? b : x2, cy: back ? end + 15 : end, r: 4, fill: color};
    picture.append(path, svg("circle", dot));
  }
  for (const [id, name] of nodes) {
    const [x, y] = at(id), red = dead.has(id);
    picture.append(svg("rect", {x, y, width: 170, height: 30, rx: 6, fill: "var(--panel)",
      stroke: red ? "var(--bad)" : "var(--line)", "stroke-width": red ? 2.5 : 1}));
    const text = svg("text", {x: x + 10, y: y + 19},
      name.length > 22 ? name.slice(0, 21) + "\u2026" : name);
    text.append(svg("title", {}, name));
    picture.append(text);
  }
  const none = make("p", "No task waits for another.", "dim");
  $("graph").replaceChildren(edges.length ? picture : none);
  const circles = graph.circles.map(c => c.map(id => nodes.get(id) || "#" + id));
  const deadlocks = circles.map(names => names.join(" \u2192 ")).join("; ");
  $("waits-about").textContent = graph.count + " waits" + (graph.count > 400 ?
    ", the first 400 are shown" : "") + (deadlocks ? "; deadlocks: " + deadlocks : "");
  $("waits-about").style.color = graph.circles.length ? "var(--bad)" : "";
}

// ---- durable runs ----

let opened = null; // the database and the id of the run whose steps are shown
const table = (heads, rows) => {
  const node = make("table"), head = make("tr");
  for (const text of heads) head.append(make("th", text));
  node.append(head);
  for (const [cells, click] of rows) {
    const row = make("tr");
    for (const text of cells) row.append(make("td", text === undefined ? "" : String(text)));
    if (click) { row.onclick = click; row.style.cursor = "pointer"; }
    node.append(row);
  }
  return node;
};
const since = (t, now) => t === undefined ? "" : t <= now ? age(now - t) + " ago" :
  "in " + age(t - now);
const lasted = s => s.began === undefined || s.ended === undefined ? "" :
  ((s.ended - s.began) * 1000).toFixed(1) + " ms";
const failure = x => x.message ? x.message + (x.code ? " (" + x.code + ")" : "") : "";

async function showSteps() {
  $("steps").hidden = !opened;
  if (!opened) return;
  const [db, id] = opened;
  const run = await ask("/durable?db=" + encodeURIComponent(db) + "&id=" + encodeURIComponent(id));
  const close = make("button", "Close", "do");
  close.onclick = () => { opened = null; $("steps").hidden = true; };
  const about = run.workflow + ", " + run.status + ", claimed " + run.epoch + " times" +
    (run.waits ? ", waits for " + run.waits : "") + (failure(run) ? ": " + failure(run) : "");
  $("steps").replaceChildren(make("h2", run.id), make("p", about, "dim"),
    table(["step", "kind", "state", "attempt", "began", "took", "due", "failure"],
      run.steps.map(s => [[s.key, s.kind, s.state, s.attempt, since(s.began, run.now), lasted(s),
        s.state === "done" ? "" : since(s.due, run.now), failure(s)]])), close);
}

async function showDurable() {
  const answer = await ask("/durable"), boxes = [];
  for (const d of answer.databases) {
    boxes.push(make("h2", d.name), make("p", d.message || d.memory + " runs in memory", "dim"));
    boxes.push(table(["id", "workflow", "queue", "status", "created", "waits for", "failure"],
      (d.runs || []).map(r => [[r.id, r.workflow, r.queue, r.status, since(r.created, d.now),
        r.waits, failure(r)], () => { opened = [d.name, r.id]; refresh(); }])));
  }
  $("durable-about").textContent = boxes.length ? "" : "The program has no durable runs.";
  $("runs").replaceChildren(...boxes);
  await showSteps();
}

// ---- the workers beside this one ----

async function showWorkers() {
  const answer = await fetch("/workers");
  if (answer.status === 404) {
    $("workers-about").textContent = "The program runs in one process, without workers.";
    return $("processes").replaceChildren();
  }
  if (!answer.ok) throw new Error(await answer.text());
  const { id, status: s } = await answer.json();
  $("workers-about").textContent = s.count + " workers of generation " + s.generation +
    ", master " + s.pid + ", up " + age(s.uptime) + ", " + s.requests + " requests, " + s.restarts +
    " restarts" + (s.reloading ? ", reloading" : "") + (s.stopping ? ", stopping" : "");
  const tell = w => [w.id + (w.id === id ? " (this one)" : ""), w.pid, w.state, w.generation,
    age(w.age), w.open, w.connections, w.requests, (w.memory / 1048576).toFixed(1) + " MB",
    (w.late * 1000).toFixed(1) + " ms", "moonlet --attach " + w.pid + " --web"];
  $("processes").replaceChildren(table(["worker", "process", "state", "generation", "age", "open",
    "connections", "requests", "memory", "late", "to look inside"], s.workers.map(w => [tell(w)])));
}

// ---- metrics: the last minutes, as this page has seen them ----

const past = new Map(), LENGTH = 300;
const labelsOf = l => {
  const texts = Object.entries(l || {}).map(([k, v]) => k + "=" + v);
  return texts.length ? "{" + texts.join(", ") + "}" : "";
};
const short = x => Math.abs(x) >= 1e9 ? (x / 1e9).toFixed(1) + " G" : Math.abs(x) >= 1e6 ?
  (x / 1e6).toFixed(1) + " M" : Math.abs(x) >= 1e4 ? (x / 1e3).toFixed(1) + " k" :
  Number.isInteger(x) ? String(x) : x.toPrecision(3);

function note(metrics) {
  for (const name in metrics) {
    const m = metrics[name];
    for (const s of Object.values(m.series || {})) {
      const x = Number(m.type === "histogram" ? s.count : s.value), key = name + labelsOf(s.labels);
      const entry = past.get(key) || {help: m.help, type: m.type, values: []};
      entry.values.push(x);
      if (entry.values.length > LENGTH) entry.values.shift();
      past.set(key, entry);
    }
  }
}

function plot(entry) {
  const grows = entry.type !== "gauge";
  const v = grows ? entry.values.slice(1).map((x, i) => x - entry.values[i]) : entry.values;
  const high = Math.max(...v, 1e-9), low = Math.min(0, ...v);
  const points = v.map((x, i) => (i / Math.max(1, LENGTH - 1) * 200).toFixed(1) + "," +
    (34 - (x - low) / (high - low || 1) * 32).toFixed(1));
  const picture = svg("svg", {viewBox: "0 0 200 36", preserveAspectRatio: "none"});
  picture.append(svg("polyline", {points: points.join(" "), fill: "none", stroke: "var(--accent)",
    "stroke-width": 1.5, "vector-effect": "non-scaling-stroke"}));
  return picture;
}

async function showMetrics() {
  note(await ask("/metrics?format=json"));
  const text = $("metric-search").value.toLowerCase();
  const boxes = [];
  for (const [key, entry] of past) {
    if (text && !key.toLowerCase().includes(text)) continue;
    if (boxes.length === 200) break;
    const box = make("div", undefined, "panel plot");
    box.title = entry.help || "";
    const last = entry.values[entry.values.length - 1];
    box.append(make("b", short(last)), make("div", key), plot(entry));
    boxes.push(box);
  }
  $("plots").replaceChildren(...boxes);
}

// ---- profile and trace ----

$("take").onclick = () => {
  $("profile-about").textContent = "measuring...";
  $("flame").hidden = false;
  $("flame").src = "/profile?format=svg&s=" + encodeURIComponent($("seconds").value) +
    "&mode=" + $("mode").value + "&at=" + Date.now();
};
$("flame").onload = () => { $("profile-about").textContent = ""; };
for (const format of ["folded", "speedscope", "pprof"])
  $("as-" + format).onclick = () => {
    location.href = "/profile?s=" + encodeURIComponent($("seconds").value) + "&mode=" +
      $("mode").value + "&format=" + format;
  };
$("trace").onclick = () => {
  location.href = "/trace?s=" + encodeURIComponent($("seconds").value);
};

// ---- always ----

let busy = false;
async function refresh() {
  if (busy) return;
  busy = true;
  try {
    if (tab === "tasks") await showTasks();
    else if (tab === "stacks") await showStacks();
    else if (tab === "waits") await showWaits();
    else if (tab === "durable") await showDurable();
    else if (tab === "workers") await showWorkers();
    else if (tab === "metrics") await showMetrics();
    else await ask("/state");
  } catch (problem) { console.log(problem); }
  busy = false;
}
$("metric-search").oninput = refresh;
setInterval(() => { if (!document.hidden && $("live").checked) refresh(); }, 1000);
addEventListener("keydown", event => {
  if (event.key === "/" && !/INPUT|TEXTAREA|SELECT/.test(event.target.tagName)) {
    event.preventDefault();
    choose("tasks");
    $("search").focus();
  }
});
choose(tabs.includes(location.hash.slice(1)) ? location.hash.slice(1) : "tasks");
]=]
