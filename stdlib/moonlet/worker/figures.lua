-- The metrics of all workers. Each says its own, as a line of JSON; the one that was asked puts
-- them together, each series with the label "worker", so that a counter of a worker that was
-- replaced begins anew under its own name, as Prometheus expects it.

local ipairs, next, require, tonumber, tostring = ipairs, next, require, tonumber, tostring
local concat, sort = table.concat, table.sort

local core = require "moonlet.worker.core"
local json = require "moonlet.json"

local figures = {}

--- The master wants this worker's.
function figures.run(number)
  local id = core.place()
  local text = require("moonlet.inspect").metrics "json"
  core.answer_figures(number, ('{"id":%d,"metrics":%s}\n'):format(id, text))
end

local ESCAPES = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }

-- The labels as the text format has them.
local function text_of(labels)
  local names, texts = {}, {}
  for name in next, labels do names[#names + 1] = name end
  sort(names)
  for i, name in ipairs(names) do
    texts[i] = name .. '="' .. tostring(labels[name]):gsub('[\\"\n]', ESCAPES) .. '"'
  end
  return concat(texts, ",")
end

-- JSON has numbers that it cannot say as strings.
local function number_of(value)
  if value == "NaN" then return 0 / 0 end
  if value == "+Inf" then return 1 / 0 end
  if value == "-Inf" then return -1 / 0 end
  return tonumber(value)
end

local function add_series(family, series, id)
  local labels = series.labels
  labels[labels.worker == nil and "worker" or "moonlet_worker"] = tostring(id)
  family.samples[#family.samples + 1] = {
    text = text_of(labels), labels = labels, value = number_of(series.value),
    count = series.count, sum = number_of(series.sum), buckets = series.buckets,
  }
end

local function add_worker(families, said)
  for name, metric in next, said.metrics do
    local family = families[name]
    if not family then
      family = { name = name, type = metric.type, help = metric.help, unit = metric.unit,
        buckets = metric.bounds, samples = {} }
      families[name] = family
    end
    if family.type == metric.type then
      for _, series in ipairs(metric.series) do add_series(family, series, said.id) end
    end
  end
end

local function sum(name, kind, help, value)
  return { name = name, type = kind, help = help,
    samples = { { text = "", labels = {}, value = value } } }
end

-- What the master adds up, also of workers that are gone.
local function add_master(families, status)
  for _, family in ipairs {
    sum("moonlet_workers_requests_total", "counter", "Requests of all workers.", status.requests),
    sum("moonlet_workers_connections_total", "counter", "Connections of all workers.",
      status.connections),
    sum("moonlet_workers_restarts_total", "counter", "Workers that were started again.",
      status.restarts),
    sum("moonlet_workers_generation", "gauge", "The generation that serves.", status.generation),
  } do families[family.name] = family end
  local states = { name = "moonlet_workers", type = "gauge", help = "Workers by state." }
  states.samples = {}
  local counts = { draining = 0, ready = 0, starting = 0 }
  for _, w in ipairs(status.workers) do counts[w.state] = counts[w.state] + 1 end
  for _, state in ipairs { "draining", "ready", "starting" } do
    local labels = { state = state }
    states.samples[#states.samples + 1] = { text = text_of(labels), labels = labels,
      value = counts[state] }
  end
  families.moonlet_workers = states
end

--- The metrics of all in the text format of Prometheus; or nil, message, code.
function figures.text()
  local lines, message, code = core.figures()
  if not lines then return nil, message, code end
  local status
  status, message, code = core.request "status"
  if not status then return nil, message, code end
  local families, list, workers = {}, {}, {}
  for line in lines:gmatch "[^\n]+" do workers[#workers + 1] = json.decode(line) end
  sort(workers, function(a, b) return a.id < b.id end)
  for _, said in ipairs(workers) do add_worker(families, said) end
  add_master(families, json.decode(status))
  for _, family in next, families do list[#list + 1] = family end
  sort(list, function(a, b) return a.name < b.name end)
  return require("moonlet.inspect.exposition").prometheus(list)
end

return figures
