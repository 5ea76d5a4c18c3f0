--- Metrics: what the program counts and measures, and what the runtime does.
-- @submodule moonlet.inspect

local error, ipairs, next, pairs, pcall = error, ipairs, next, pairs, pcall
local rawequal, setmetatable, tostring, type, warn = rawequal, setmetatable, tostring, type, warn
local concat, sort, unpack = table.concat, table.sort, table.unpack

local argument = require "moonlet.argument"
local core = require "moonlet.inspect.metrics.core"
package.loaded["moonlet.inspect.metrics.core"] = nil
local check = require "moonlet.inspect.metric_check"
local exposition = require "moonlet.inspect.exposition"
local own_metrics = require "moonlet.inspect.own_metrics"
local task = require "moonlet.task"
local no_switch, now = task.no_switch, task.now

local metrics = {}

-- Bounds for durations in seconds: those of other client libraries for Prometheus.
local USUAL_BUCKETS = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 }

local MOST_SERIES = 1000

-- Names that the text formats make of a metric's.
local ENDINGS = { counter = { "_total" }, gauge = {}, histogram = { "_bucket", "_sum", "_count" } }

-- ---- families: the metrics of one name ----

-- A family: name, type, help, unit, label_names (sorted), bounds (a list, of histograms) and
-- limits (the same for C), limit, count; list: its metrics; places: text of the labels -> place in
-- the list; overflow: the metric for what is beyond the limit.
local families = {}

-- Names that the text formats use -> the family's name.
local claims = {}

local function names_of(labels)
  local names = {}
  for name in next, labels do names[#names + 1] = name end
  sort(names)
  return names
end

-- The names that a family of this kind and name has in the text formats. The sample of a counter
-- that is not called ..._total has that ending in OpenMetrics.
local function names_claimed(kind, name)
  local names = { name }
  for _, ending in ipairs(ENDINGS[kind]) do
    if kind ~= "counter" or name:sub(-#ending) ~= ending then names[#names + 1] = name .. ending end
  end
  if kind == "counter" then names[#names + 1] = name:match "^(.+)_total$" end
  return names
end

local function problem_of_claims(names)
  for _, name in ipairs(names) do
    local other = claims[name]
    if other then
      return ("'%s' stands for a part of the %s '%s'"):format(name, families[other].type, other)
    end
  end
end

local function same_list(list, other)
  if #list ~= #other then return false end
  for i, item in ipairs(list) do
    if item ~= other[i] then return false end
  end
  return true
end

-- What options say differently than they did when the family was made; nil: nothing.
local function problem_of_change(family, options)
  for _, key in ipairs { "help", "unit" } do
    local value = options[key]
    if value ~= nil and family[key] ~= nil and family[key] ~= value then
      return ("'%s' has another %s: '%s'"):format(family.name, key, family[key])
    end
  end
  if options.buckets and not same_list(options.buckets, family.buckets) then
    return ("'%s' has other buckets: %s"):format(family.name, concat(family.buckets, ", "))
  end
end

-- Options that were not given before.
local function adopt(family, options)
  for _, key in ipairs { "help", "unit", "limit" } do
    if options[key] ~= nil then family[key] = options[key] end
  end
end

-- A new family; or nil, problem.
local function new_family(kind, name, labels, options)
  local claimed = names_claimed(kind, name)
  local problem = problem_of_claims(claimed)
  if problem then return nil, problem end
  local family = {
    name = name, type = kind, label_names = names_of(labels), limit = MOST_SERIES, list = {},
    places = {},
  }
  if kind == "histogram" then
    family.buckets = { unpack(options.buckets or USUAL_BUCKETS) }
    family.bounds = core.bounds(family.buckets)
  end
  adopt(family, options)
  families[name] = family
  for _, claim in ipairs(claimed) do claims[claim] = name end
  return family
end

-- ---- metrics ----

local ESCAPES = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }

local function label_text(name, value)
  value = tostring(value)
  if value:find '[\\"\n]' then value = value:gsub('[\\"\n]', ESCAPES) end
  return name .. '="' .. value .. '"'
end

-- The labels as the text formats have them: the key of a metric in its family. nil: they are not
-- those of the family.
local function text_of(family, labels)
  local texts, names, count = {}, family.label_names, 0
  for _ in next, labels do count = count + 1 end
  if count ~= #names then return nil end
  for i, name in ipairs(names) do
    local value = labels[name]
    if value == nil then return nil end
    texts[i] = label_text(name, value)
  end
  return concat(texts, ",")
end

local function copy_of(labels)
  local copy = {}
  for name, value in next, labels do copy[name] = tostring(value) end
  return copy
end

local function new_series(family, text, labels)
  local series = core[family.type](family, text, labels, family.bounds)
  local place = #family.list + 1
  family.places[text] = 0 -- without memory for either entry there is neither
  family.list[place] = series
  family.places[text] = place
  return series
end

-- What is beyond the limit is counted together.
local function overflow_of(family)
  if not family.overflow then
    local labels, texts = {}, {}
    for i, name in ipairs(family.label_names) do
      labels[name], texts[i] = "other", label_text(name, "other")
    end
    local text = concat(texts, ",")
    local place = family.places[text]
    family.overflow = family.list[place or 0] or new_series(family, text, labels)
    warn(("moonlet.inspect: '%s' has %d combinations of labels, its limit; all further ones are "
      .. "counted as 'other'"):format(family.name, family.limit))
  end
  return family.overflow
end

-- What is wrong with the arguments: position, problem; or nil.
local function problem_of(kind, name, labels, options)
  local problem = check.name(name)
  if problem then return 1, problem end
  if type(labels) ~= "table" then return 2, "table expected, got " .. type(labels) end
  for label, value in next, labels do
    problem = problem or check.label(kind, label, value)
  end
  if problem then return 2, problem end
  problem = check.options(kind, name, options)
  if problem then return 3, problem end
end

-- The same for a family that is there.
local function problem_of_use(family, kind, labels, options)
  if family.type ~= kind then return 1, ("'%s' is a %s"):format(family.name, family.type) end
  local problem = problem_of_change(family, options)
  if problem then return 3, problem end
  if not text_of(family, labels) then
    local names = #family.label_names > 0 and concat(family.label_names, ", ") or "none"
    return 2, ("the labels of '%s' are: %s"):format(family.name, names)
  end
end

-- The metric that is there; nil: none, or there is more to look at.
local function find_known(kind, name, labels, options)
  local family = families[name]
  if options or not family or family.type ~= kind or type(labels) ~= "table" then return nil end
  return family.list[family.places[text_of(family, labels)] or 0]
end

-- The metric of these labels, a new one if there is none; or nil, position, problem.
local function make(kind, name, labels, options)
  local position, problem = problem_of(kind, name, labels, options)
  if position then return nil, position, problem end
  local family = families[name]
  if not family then
    family, problem = new_family(kind, name, labels, options)
    if not family then return nil, 1, problem end
  end
  position, problem = problem_of_use(family, kind, labels, options)
  if position then return nil, position, problem end
  adopt(family, options)
  local text = text_of(family, labels)
  local place = family.places[text] or 0
  if family.list[place] then return family.list[place] end
  if #family.list >= family.limit then return overflow_of(family) end
  return new_series(family, text, copy_of(labels))
end

local NONE = {}

local function find(kind, name, labels, options)
  labels = labels or NONE
  local known = find_known(kind, name, labels, options)
  if known then return known end
  return make(kind, name, labels, options or NONE)
end

--- A counter of the program's: the same name with the same labels gives the same object. Keep it,
-- rather than ask for it each time. Another kind of metric of that name, or other names of labels
-- than at the first call, are an error.
-- @function counter
-- @tparam string name letters, digits, "_" and ":"; by custom it ends with the unit and "_total"
-- @tparam[opt] {[string]=string} labels names and values; values may be numbers and booleans, too
-- @tparam[opt] table options
-- @tparam[opt] string options.help what is counted, for people
-- @tparam[opt] string options.unit what a 1 is, such as "bytes"; the name must have it at its end
-- @tparam[opt=1000] integer options.limit combinations of labels; beyond it all are counted
-- together, as "other", and a warning says so once
-- @treturn Counter
function metrics.counter(name, labels, options)
  local counter, position, problem = find("counter", name, labels, options)
  argument.check(counter, position, "counter", problem)
  return counter
end

--- A gauge of the program's; see `counter`.
-- @function gauge
-- @tparam string name
-- @tparam[opt] {[string]=string} labels
-- @tparam[opt] table options `help`, `unit`, `limit`: see `counter`
-- @treturn Gauge
function metrics.gauge(name, labels, options)
  local gauge, position, problem = find("gauge", name, labels, options)
  argument.check(gauge, position, "gauge", problem)
  return gauge
end

--- A histogram of the program's; see `counter`.
-- @function histogram
-- @tparam string name
-- @tparam[opt] {[string]=string} labels
-- @tparam[opt] table options `help`, `unit`, `limit`: see `counter`
-- @tparam[opt] {number,...} options.buckets the upper bounds of the ranges, ascending; without it
-- those for durations in seconds, from 0.005 to 10
-- @treturn Histogram
function metrics.histogram(name, labels, options)
  local histogram, position, problem = find("histogram", name, labels, options)
  argument.check(histogram, position, "histogram", problem)
  return histogram
end

-- ---- methods that are written in Lua ----

local function is_metric(value, class)
  return type(value) == "userdata" and core.is_series(value, class)
end

-- Takes a metric out of its family; the last one takes its place there.
local function remove(metric)
  local family, text = core.series(metric)
  local list, place = family.list, family.places[text]
  if not place or not rawequal(list[place], metric) then return end
  local last = list[#list]
  local _, last_text = core.series(last)
  family.places[last_text] = place
  list[place] = last
  list[#list] = nil
  family.places[text] = nil
  if rawequal(family.overflow, metric) then family.overflow = nil end
end

for _, kind in ipairs { "counter", "gauge", "histogram" } do
  local class = "inspect." .. kind
  core.methods(class).remove = function(self)
    if not is_metric(self, class) then
      error(("calling 'remove' on bad self (%s expected, got %s)"):format(class, type(self)), 2)
    end
    remove(self)
  end
end

--- Removes it from what `metrics` shows: for labels that do not come again, such as a peer that
-- has left. The object still counts, unseen; asking for the name and labels again makes a new one.
-- @function Counter:remove

--- Removes it: see `Counter:remove`.
-- @function Gauge:remove

--- Removes it: see `Counter:remove`.
-- @function Histogram:remove

local Timing = { __close = function(self) self[1]:observe(now() - self[2]) end }

--- Calls a function and observes how long it took, in seconds, also if it fails or is cancelled.
-- @function Histogram:time
-- @tparam function fn
-- @param ... its arguments
-- @return what it returned
local function time(self, fn, ...)
  if not is_metric(self, "inspect.histogram") then
    error(("calling 'time' on bad self (inspect.histogram expected, got %s)"):format(type(self)), 2)
  end
  argument.callable(fn, 1, "time")
  local _ <close> = setmetatable({ self, now() }, Timing)
  return fn(...)
end
core.methods "inspect.histogram".time = time

-- ---- all of them ----

-- The value of a gauge, which may come from a function of the program's; nil: it has failed.
local function read(gauge)
  local ok, value = pcall(no_switch, gauge.value, gauge)
  if ok then return value end
  warn(("moonlet.inspect: no value of %s: %s"):format(gauge, value))
end

-- A metric at this moment: text and table of its labels, value; or count, sum, buckets.
local function sample_of(kind, metric)
  local _, text, labels = core.series(metric)
  local sample = { text = text, labels = labels }
  if kind == "histogram" then
    sample.count, sample.sum = metric:value()
    sample.buckets = core.buckets(metric)
  elseif kind == "gauge" then
    sample.value = read(metric)
    if not sample.value then return nil end
  else
    sample.value = metric:value()
  end
  return sample
end

-- What the text formats and the table are made of: name, type, help, unit, buckets, samples.
local function snapshot(family)
  local samples = {}
  for _, metric in ipairs(family.list) do samples[#samples + 1] = sample_of(family.type, metric) end
  return {
    name = family.name, type = family.type, help = family.help, unit = family.unit,
    buckets = family.buckets, samples = samples,
  }
end

local function by_name(a, b) return a.name < b.name end

local function snapshots()
  local all, list = {}, {}
  own_metrics.add(all, core)
  for _, family in pairs(families) do all[#all + 1] = snapshot(family) end
  for _, family in ipairs(all) do
    if #family.samples > 0 then list[#list + 1] = family end
  end
  sort(list, by_name)
  return list
end

local FORMATS = { json = true, openmetrics = true, prometheus = true }

--- All metrics, those of the program and those of the runtime, at this moment. Never waits.
-- @function metrics
-- @tparam[opt] string format `"prometheus"`: the text format, version 0.0.4; `"openmetrics"`: that
-- of OpenMetrics 1.0; `"json"`: the table as a text, numbers that JSON cannot say as strings
-- @treturn table|string without a format a table: name -> `type`, `help`, `unit`, `series`, a list
-- of tables with `labels` and `value`. A histogram has `bounds`, and in its series `count`, `sum`
-- and `buckets`, for each bound how many values do not exceed it, and behind them all
function metrics.metrics(format)
  argument.check(format == nil or FORMATS[format], 1, "metrics",
    "\"prometheus\", \"openmetrics\" or \"json\" expected")
  local list = snapshots()
  if not format then return exposition.table(list) end
  return exposition[format](list)
end

return metrics
