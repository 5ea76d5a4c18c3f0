--- The costs of single parts, beside stock Lua's in the same run.
local columns = require "columns"
local json = require "json"
local process = require "process"
local stats = require "stats"

local micro = {}

local LIMIT_SECONDS = 120
local order = {"yield", "coroutine_switch", "spawn_finish", "coroutine_create_finish", "pcall",
  "channel_rendezvous", "channel_rendezvous_local", "channel_128", "channel_128_local",
  "mutex_pair", "event_wait", "greenlet_switch", "group_spawn", "cancel_sleeper", "wake_getter"}

-- What stock Lua's nearest equivalent of ours is called.
local equivalent = {yield = "coroutine_switch", spawn_finish = "coroutine_create_finish"}

-- Adds one run of a program to its results: benchmark name -> list of nanoseconds.
local function run_once(contestant, results)
  local output, reason = process.capture(contestant.command, {cpu = 0, limit = LIMIT_SECONDS})
  if not output then
    results.failed = reason
    return
  end
  for _, line in ipairs(json.decode_lines(output)) do
    results[line.name] = results[line.name] or {}
    table.insert(results[line.name], line.median)
  end
end

local function measure(list, rounds)
  local all = {}
  for _ = 1, rounds do
    for i, contestant in ipairs(list) do
      all[i] = all[i] or {}
      if not all[i].failed then run_once(contestant, all[i]) end
    end
  end
  return all
end

local function summary(contestant, results)
  local record = {name = contestant.name, failed = results.failed}
  for _, name in ipairs(order) do record[name] = results[name] and stats.median(results[name]) end
  return record
end

local function row(name, records)
  local cells = {name}
  for i, record in ipairs(records) do cells[i + 1] = columns.cell(record[name], "%.1f") end
  local ours, stock = records[1][name], records[2][equivalent[name] or name]
  cells[#cells + 1] = columns.cell(ours and stock and ours / stock)
  return cells
end

local function show(records)
  local header, rows = {""}, {}
  for i, record in ipairs(records) do header[i + 1] = record.name end
  header[#header + 1] = "ratio to stock"
  for i, name in ipairs(order) do rows[i] = row(name, records) end
  columns.print("Micro, nanoseconds; a task beside a coroutine of stock Lua", header, rows,
    columns.failures(records))
end

-- What a program in C measures: reported, not compared.
local function show_figures(all, program, title)
  local output, reason = process.capture({all:c(program)},
    {cpu = 0, limit = LIMIT_SECONDS})
  if not output then return {failed = reason} end
  local rows, record = {}, {}
  for i, line in ipairs(json.decode_lines(output)) do
    record[line.name] = line.ns
    rows[i] = {line.name, columns.cell(line.ns, "%.1f")}
  end
  columns.print(title, {"", "ns"}, rows)
  return record
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn table `programs`: a record for each; `switch`: name -> ns of the switch in C, below all
-- of Lua; `host`: name -> ns of what hosts in C do
function micro.run(all, quick)
  local list = all:micro()
  local results, records = measure(list, quick and 1 or 3), {}
  for i, contestant in ipairs(list) do records[i] = summary(contestant, results[i]) end
  show(records)
  local switch = show_figures(all, "switch", "The switch in C, nanoseconds")
  local host = show_figures(all, "host", "Hosts in C, nanoseconds")
  return {programs = records, switch = switch, host = host}
end

return micro
