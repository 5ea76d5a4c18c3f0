--- What of the results of bench/run.lua is compared in the plot: for each panel a title and its
-- bars, the shortest first. Knows nothing of drawing.
local comparison = {}

local OURS = "moonlet"
local SLEEPERS = 100000

-- What is drawn as a yardstick: no runtime that one could choose.
local yardsticks = {["raw C epoll"] = true, ["true (C)"] = true}

local function is_figure(value)
  return type(value) == "number" and value >= 0 and value < math.huge
end

-- The largest number of sleepers up to SLEEPERS that moonlet was measured with.
local function sleepers_counted(records)
  local most
  for _, record in ipairs(records) do
    if record.name == OURS then
      for _, run in ipairs(record.runs or {}) do
        if run.kb_per_task and run.n <= SLEEPERS then most = run.n end
      end
    end
  end
  return most
end

local function with_commas(count)
  return (string.format("%d", count):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

-- A function that finds a field of the run with so many sleepers.
local function of_run(count, field)
  return function(record)
    for _, run in ipairs(record.runs or {}) do
      if run.n == count then return run[field] end
    end
  end
end

local function of_field(field)
  return function(record) return record[field] end
end

-- Stock Lua has no tasks: its nearest equivalent stands in.
local function of_micro(field, equivalent)
  return function(record) return record[field] or record[equivalent] end
end

local function in_seconds(find)
  return function(record)
    local milliseconds = find(record)
    return milliseconds and milliseconds / 1e3
  end
end

local function bars_of(records, find, renamed)
  local bars = {}
  for i, record in ipairs(records) do
    local value = find(record)
    if is_figure(value) and type(record.name) == "string" then
      bars[#bars + 1] = {
        name = renamed and renamed[record.name] or record.name, value = value, rank = i,
        kind = record.name == OURS and "ours" or yardsticks[record.name] and "yardstick" or "other",
      }
    end
  end
  table.sort(bars, function(a, b)
    if a.value ~= b.value then return a.value < b.value end
    return a.rank < b.rank
  end)
  return bars
end

local function add_panel(panels, title, unit, records, find, renamed)
  local bars = bars_of(records, find, renamed)
  if #bars > 0 then panels[#panels + 1] = {title = title, unit = unit, bars = bars} end
end

local function without(records, name)
  local list = {}
  for _, record in ipairs(records) do
    if record.name ~= name then list[#list + 1] = record end
  end
  return list
end

local function add_sleepers(panels, records)
  local count = sleepers_counted(records)
  if not count then return end
  add_panel(panels, "Memory of a sleeping task", "KB", records, of_run(count, "kb_per_task"))
  add_panel(panels, with_commas(count) .. " tasks sleep 0.2 s", "seconds until all have ended",
    records, in_seconds(of_run(count, "ms")))
end

local function add_micro(panels, records)
  add_panel(panels, "Switch from task to task", "ns", records,
    of_micro("yield", "coroutine_switch"), {["lua5.4"] = "lua5.4, coroutine"})
  add_panel(panels, "Spawn and finish of a task", "ns", records,
    of_micro("spawn_finish", "coroutine_create_finish"), {["lua5.4"] = "lua5.4, coroutine"})
end

local function add_echo(panels, results)
  for _, result in ipairs(results) do
    add_panel(panels, "Echo, " .. with_commas(result.connections) .. " connections",
      "CPU per request, raw C = 1", result.servers, of_field("cpu_ratio"))
  end
end

--- The panels for which there are figures.
-- @tparam table results as bench/run.lua writes them
-- @treturn {table,...} of `title`, `unit` and `bars`; a bar has `name`, `value` and `kind`:
--   "ours", "yardstick" or "other"
function comparison.panels(results)
  local panels = {}
  add_sleepers(panels, results.sleepers or {})
  add_micro(panels, (results.micro or {}).programs or {})
  add_echo(panels, results.echo or {})
  -- What the raw server keeps of a connection is in the kernel: there is nothing to compare.
  add_panel(panels, "An idle connection", "KB", without(results.idle or {}, "raw C epoll"),
    of_field("kb_per_connection"))
  add_panel(panels, "Start and end of an empty program", "ms", results.startup or {},
    of_field("ms"))
  return panels
end

local function note_failures(notes, seen, records)
  for _, record in ipairs(records or {}) do
    local note = record.failed and tostring(record.name) .. ": " .. tostring(record.failed)
    if note and not seen[note] then
      seen[note] = true
      notes[#notes + 1] = note
    end
  end
end

--- Who is absent from some panel, and why.
-- @tparam table results as bench/run.lua writes them
-- @treturn {string,...}
function comparison.absent(results)
  local notes, seen = {}, {}
  note_failures(notes, seen, results.sleepers)
  note_failures(notes, seen, (results.micro or {}).programs)
  for _, result in ipairs(results.echo or {}) do note_failures(notes, seen, result.servers) end
  note_failures(notes, seen, results.idle)
  note_failures(notes, seen, results.startup)
  return notes
end

return comparison
