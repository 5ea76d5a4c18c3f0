-- The metrics of all workers. Each says its own, as a line of JSON; the one that was asked puts
-- them together, each series with the label "worker", so that a counter of a worker that was
-- replaced begins anew under its own name, as Prometheus expects it. Or it adds up counters and
-- histograms: then also those of workers that are gone, whose last lines the master keeps, so that
-- a sum does not fall. The lines of those are made one line from time to time.

local ipairs, next, require, select = ipairs, next, require, select
local tonumber, tostring = tonumber, tostring
local concat, sort = table.concat, table.sort

local core = require "moonlet.worker.core"
local json = require "moonlet.json"

local figures = {}

--- The master wants this worker's; 0: it does not ask, and this worker ends.
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

local function family_of(families, name, metric)
  local family = families[name]
  if not family then
    family = { name = name, type = metric.type, help = metric.help, unit = metric.unit,
      buckets = metric.bounds, samples = {}, sums = {} }
    families[name] = family
  end
  return family.type == metric.type and family
end

local function sample_of(series)
  return { text = text_of(series.labels), labels = series.labels,
    value = number_of(series.value), count = series.count, sum = number_of(series.sum),
    buckets = series.buckets }
end

local function add_series(family, series, id)
  local labels = series.labels
  labels[labels.worker == nil and "worker" or "moonlet_worker"] = tostring(id)
  family.samples[#family.samples + 1] = sample_of(series)
end

-- Whether two histograms have the same bounds.
local function has_bounds(family, bounds)
  if not bounds or #bounds ~= #family.buckets then return false end
  for i, bound in ipairs(bounds) do
    if bound ~= family.buckets[i] then return false end
  end
  return true
end

local function add_to(into, sample)
  if into.value then into.value = into.value + sample.value end
  if not into.buckets then return end
  into.count, into.sum = into.count + sample.count, into.sum + sample.sum
  for i, count in ipairs(sample.buckets) do into.buckets[i] = into.buckets[i] + count end
end

-- Adds a series to the one of other workers that has the same labels.
local function sum_series(family, series)
  local sample = sample_of(series)
  local into = family.sums[sample.text]
  if into then
    add_to(into, sample)
  else
    family.sums[sample.text] = sample
    family.samples[#family.samples + 1] = sample
  end
end

local function is_summed(metric) return metric.type == "counter" or metric.type == "histogram" end

local function add_worker(families, said)
  for name, metric in next, said.metrics do
    local family = family_of(families, name, metric)
    for _, series in ipairs(family and metric.series or {}) do
      add_series(family, series, said.id)
    end
  end
end

-- Counters and histograms are added up; gauges, unless the worker is gone, stay its own.
local function sum_worker(families, said, is_gone)
  for name, metric in next, said.metrics do
    local is_sum = is_summed(metric)
    local family = (is_sum or not is_gone) and family_of(families, name, metric)
    if family and metric.type == "histogram" and not has_bounds(family, metric.bounds) then
      family = nil
    end
    for _, series in ipairs(family and metric.series or {}) do
      if is_sum then sum_series(family, series) else add_series(family, series, said.id) end
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

local function decode(lines)
  local list = {}
  for line in lines:gmatch "[^\n]+" do list[#list + 1] = json.decode(line) end
  return list
end

local function by_id(a, b) return a.id < b.id end

-- So many lines of workers that are gone may wait.
local MANY = 8

-- Makes one line of those of workers that are gone.
local function put_together(lines, size, epoch)
  if select(2, lines:gsub("\n", "")) < MANY then return end
  local families, list = {}, {}
  for _, said in ipairs(decode(lines)) do sum_worker(families, said, true) end
  for _, family in next, families do list[#list + 1] = family end
  local text = require("moonlet.inspect.exposition").json(list)
  core.put_together(size, epoch, ('{"id":0,"metrics":%s}\n'):format(text))
end

-- The families of what all workers have said.
local function families_of(said, is_sum)
  local lines, size, epoch = said[1], said[2], said[3]
  local line_at = ("\n" .. lines):find("\n-\n", 1, true)
  local live, families = decode(lines:sub(1, line_at - 1)), {}
  sort(live, by_id)
  for _, worker in ipairs(live) do
    if is_sum then sum_worker(families, worker) else add_worker(families, worker) end
  end
  local others = is_sum and decode(lines:sub(line_at + 2)) or {}
  for _, worker in ipairs(others) do sum_worker(families, worker, true) end
  put_together(lines:sub(#lines - size + 1), size, epoch)
  return families
end

--- The metrics of all in the text format of Prometheus; or nil, message, code. is_sum: counters
-- and histograms are added up.
function figures.text(is_sum)
  local said, message, code = core.figures()
  if not said then return nil, message, code end
  local status
  status, message, code = core.request "status"
  if not status then return nil, message, code end
  local families, list = families_of(said, is_sum), {}
  add_master(families, json.decode(status))
  for _, family in next, families do list[#list + 1] = family end
  sort(list, function(a, b) return a.name < b.name end)
  return require("moonlet.inspect.exposition").prometheus(list)
end

return figures
