--- How metrics are shown: as a table, as JSON, in the text formats of Prometheus and OpenMetrics.
-- @module moonlet.inspect.exposition

local ipairs, pairs, require = ipairs, pairs, require
local huge, math_type, tointeger = math.huge, math.type, math.tointeger
local concat, unpack = table.concat, table.unpack
local format = string.format

-- Each function takes a list of families, sorted by name. A family: name, type, help, unit,
-- buckets (bounds), samples; a sample: text (of the labels), labels, value; or count, sum, buckets
-- (counts up to each bound, and of all), and perhaps quantiles.
local exposition = {}

-- ---- the text formats ----

-- A number as both formats have it, the shortest that is read as the same.
local function number_text(number)
  if math_type(number) == "integer" then return format("%d", number) end
  if number ~= number then return "NaN" end
  if number == huge then return "+Inf" end
  if number == -huge then return "-Inf" end
  local whole = tointeger(number)
  if whole and whole > -1e15 and whole < 1e15 then return format("%d", whole) end
  for digits = 15, 16 do
    local text = format("%." .. digits .. "g", number)
    if text + 0 == number then return text end
  end
  return format("%.17g", number)
end

-- A bound, which is a float in OpenMetrics.
local function float_text(number)
  local text = number_text(number)
  return text:find "[^-%d]" and text or text .. ".0"
end

local ESCAPES = { ["\\"] = "\\\\", ["\n"] = "\\n", ['"'] = '\\"' }

local function with_labels(name, text, more)
  if text == "" then return more and name .. "{" .. more .. "}" or name end
  return name .. "{" .. text .. (more and "," .. more or "") .. "}"
end

local function add_histogram(out, family, sample, bound_text)
  local name, n = family.name, #out
  for i, count in ipairs(sample.buckets) do
    local bound = family.buckets[i]
    local le = 'le="' .. (bound and bound_text(bound) or "+Inf") .. '"'
    n = n + 1
    out[n] = with_labels(name .. "_bucket", sample.text, le) .. " " .. format("%d\n", count)
  end
  out[n + 1] = with_labels(name .. "_sum", sample.text) .. " " .. number_text(sample.sum) .. "\n"
  out[n + 2] = with_labels(name .. "_count", sample.text) .. format(" %d\n", sample.count)
end

-- name: of the samples.
local function add_samples(out, family, name, bound_text)
  local n = #out
  for _, sample in ipairs(family.samples) do
    if family.type == "histogram" then
      add_histogram(out, family, sample, bound_text)
    else
      n = n + 1
      out[n] = with_labels(name, sample.text) .. " " .. number_text(sample.value) .. "\n"
    end
  end
end

--- The text format of Prometheus, version 0.0.4.
function exposition.prometheus(families)
  local out = {}
  for _, family in ipairs(families) do
    if family.help then
      out[#out + 1] = format("# HELP %s %s\n", family.name, family.help:gsub("[\\\n]", ESCAPES))
    end
    out[#out + 1] = format("# TYPE %s %s\n", family.name, family.type)
    add_samples(out, family, family.name, number_text)
  end
  return concat(out)
end

--- OpenMetrics 1.0: a counter's samples end with _total, its name does not.
function exposition.openmetrics(families)
  local out = {}
  for _, family in ipairs(families) do
    local name = family.name
    if family.type == "counter" then name = name:gsub("_total$", "") end
    out[#out + 1] = format("# TYPE %s %s\n", name, family.type)
    if family.unit then out[#out + 1] = format("# UNIT %s %s\n", name, family.unit) end
    if family.help then
      out[#out + 1] = format("# HELP %s %s\n", name, family.help:gsub('[\\\n"]', ESCAPES))
    end
    add_samples(out, family, family.type == "counter" and name .. "_total" or name, float_text)
  end
  out[#out + 1] = "# EOF\n"
  return concat(out)
end

-- ---- the table, and JSON ----

local function copy_of(labels)
  local copy = {}
  for name, value in pairs(labels) do copy[name] = value end
  return copy
end

-- number: what is put in place of each number.
local function shown(sample, number)
  return {
    labels = copy_of(sample.labels), value = sample.value and number(sample.value),
    count = sample.count, sum = sample.sum and number(sample.sum), buckets = sample.buckets,
    quantiles = sample.quantiles,
  }
end

local function table_of(families, number)
  local all = {}
  for _, family in ipairs(families) do
    local series = {}
    for i, sample in ipairs(family.samples) do series[i] = shown(sample, number) end
    all[family.name] = {
      type = family.type, help = family.help, unit = family.unit, series = series,
      bounds = family.buckets and { unpack(family.buckets) },
    }
  end
  return all
end

local function unchanged(number) return number end

--- A table: name -> type, help, unit, bounds, series.
function exposition.table(families) return table_of(families, unchanged) end

local function number_or_text(number)
  return number == number and number > -huge and number < huge and number or number_text(number)
end

--- The table as JSON, where numbers that JSON cannot say are strings.
function exposition.json(families)
  local encode = require("moonlet.json").encode
  return encode(table_of(families, number_or_text), { sort_keys = true })
end

return exposition
