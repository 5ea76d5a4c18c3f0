-- The page: one document, without files from outside.

local core = require "moonlet.inspector.core"
local script = require "moonlet.inspector.page_script"
local style = require "moonlet.inspector.page_style"

local page = {}

local HEAD = [[<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>moonlet %d</title>
<meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,"><style nonce="%s">]]

local BODY = [[</style></head><body>
<header><h1>moonlet</h1><span id="summary"></span>
<label class="dim"><input type="checkbox" id="live" checked> live</label></header>
<div id="banner" role="alert" hidden></div>
<nav role="tablist">
<button role="tab" id="tab-tasks">Tasks</button><button role="tab" id="tab-stacks">By stack</button>
<button role="tab" id="tab-waits">Waits</button><button role="tab" id="tab-durable">Durable</button>
<button role="tab" id="tab-workers">Workers</button>
<button role="tab" id="tab-metrics">Metrics</button>
<button role="tab" id="tab-profile">Profile</button></nav>
<main>
<section id="tasks" role="tabpanel"><div class="tools">
<input type="search" id="search" placeholder="search tasks  ( / )" aria-label="search tasks"></div>
<div class="split"><div class="panel rows" id="rows" tabindex="0" role="grid" aria-label="tasks">
<div class="row head" id="head"></div><div class="list" id="list"></div></div>
<aside class="panel" id="detail" hidden><h2 id="detail-title"></h2>
<p class="dim" id="detail-about"></p><pre id="detail-stack"></pre>
<div class="tools"><button class="do bad" id="cancel">Cancel task</button>
<button class="do" id="close">Close</button></div>
<h2>Evaluate here</h2><div class="tools"><select id="level" aria-label="call"></select></div>
<textarea id="code" aria-label="code" placeholder="an expression, or statements (Ctrl+Enter)"
></textarea><div class="tools"><button class="do" id="evaluate">Evaluate</button></div>
<pre id="result" aria-live="polite"></pre></aside></div></section>
<section id="stacks" role="tabpanel" hidden><div id="groups"></div></section>
<section id="waits" role="tabpanel" hidden><p id="waits-about" class="dim"></p>
<div id="graph" class="panel"></div></section>
<section id="durable" role="tabpanel" hidden><p id="durable-about" class="dim"></p>
<div id="steps" class="panel" hidden></div><div id="runs"></div></section>
<section id="workers" role="tabpanel" hidden><p id="workers-about" class="dim"></p>
<div id="processes"></div></section>
<section id="metrics" role="tabpanel" hidden><div class="tools">
<input type="search" id="metric-search" placeholder="search metrics" aria-label="search metrics">
</div><div class="plots" id="plots"></div></section>
<section id="profile" role="tabpanel" hidden><div class="tools">
<label>seconds <input id="seconds" type="number" min="0.1" max="600" step="any" value="5"></label>
<select id="mode" aria-label="time"><option value="cpu">CPU time</option>
<option value="wall">wall time</option></select>
<button class="do" id="take">Flame graph</button><button class="do" id="as-speedscope">speedscope
</button><button class="do" id="as-pprof">pprof</button><button class="do" id="as-folded">folded
</button><button class="do" id="trace">Trace</button><span id="profile-about" class="dim"></span>
</div><iframe id="flame" title="flame graph" sandbox="allow-scripts" hidden></iframe></section>
</main><script nonce="%s">]]

local FOOT = "</script></body></html>\n"

local POLICY = "default-src 'none'; script-src 'nonce-%s'; style-src 'unsafe-inline';"
  .. " connect-src 'self'; img-src data:; frame-src 'self'; base-uri 'none'; form-action 'none';"
  .. " frame-ancestors 'none'"

--- GET /
function page.show(_, res)
  local nonce = core.secret()
  res.headers["content-security-policy"] = POLICY:gsub("%%s", nonce)
  return 200, { ["content-type"] = "text/html; charset=utf-8" },
    HEAD:format(core.pid(), nonce) .. style .. BODY:format(nonce) .. script .. FOOT
end

return page
