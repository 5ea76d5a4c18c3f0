--- Many tasks asleep: the time until all have ended, and the memory while all sleep.
local columns = require "columns"
local json = require "json"
local process = require "process"
local stats = require "stats"

local sleepers = {}

local PAUSE_SECONDS = 0.2
local LIMIT_SECONDS = 180

local title = "N tasks sleep %.0f ms: until all have ended, and memory per task"

-- Memory is measured in a run of its own, with a pause so long that nobody wakes before the last
-- has gone to sleep.
local memory_pause = {[10000] = 2, [100000] = 8, [1000000] = 15}

local plans = {
  full = {counts = {100, 1000, 10000, 100000, 1000000}, rounds = 5},
  quick = {counts = {100, 1000, 10000}, rounds = 1},
}

local function run_once(contestant, count, pause)
  local command = table.move(contestant.command, 1, #contestant.command, 1, {})
  command[#command + 1] = tostring(count)
  command[#command + 1] = tostring(pause)
  local output, reason = process.capture(command, {limit = LIMIT_SECONDS})
  if not output then return nil, reason end
  local result = json.decode_lines(output)[1]
  if not result then return nil, "failed: printed no result" end
  return result
end

local function median_ms(contestant, count, rounds)
  local results = {}
  for i = 1, rounds do
    local result, reason = run_once(contestant, count, PAUSE_SECONDS)
    if not result then return nil, reason end
    results[i] = result.seconds * 1e3
  end
  return stats.median(results)
end

local function memory_kb(contestant, count)
  if not memory_pause[count] then return nil end
  local result, reason = run_once(contestant, count, memory_pause[count])
  if not result then return nil, reason end
  if result.asleep ~= count then return nil, "memory not measured: some woke too early" end
  return result.rss_kb_per_task
end

-- The first failure ends a contestant's part: the larger counts would fail, too, and slowly.
local function measure(contestant, plan)
  local record = {name = contestant.name, runs = {}}
  for _, count in ipairs(plan.counts) do
    if record.failed or count > (contestant.most or math.huge) then break end
    local run = {n = count}
    run.ms, record.failed = median_ms(contestant, count, plan.rounds)
    if run.ms then run.kb_per_task, record.failed = memory_kb(contestant, count) end
    table.insert(record.runs, run)
  end
  return record
end

local function row(record, plan)
  local times, memory = {}, {}
  for i, count in ipairs(plan.counts) do
    local run = record.runs[i] or {}
    times[#times + 1] = columns.cell(run.ms, "%.0f")
    if memory_pause[count] then memory[#memory + 1] = columns.cell(run.kb_per_task) end
  end
  return {record.name, table.unpack(table.move(memory, 1, #memory, #times + 1, times))}
end

local function header(plan)
  local times, memory = {}, {}
  for _, count in ipairs(plan.counts) do
    times[#times + 1] = count .. " ms"
    if memory_pause[count] then memory[#memory + 1] = count .. " KB" end
  end
  return {"", table.unpack(table.move(memory, 1, #memory, #times + 1, times))}
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each program
function sleepers.run(all, quick)
  local plan = quick and plans.quick or plans.full
  local records, rows = {}, {}
  for i, contestant in ipairs(all:sleepers()) do
    local record = measure(contestant, plan)
    records[i], rows[i] = record, row(record, plan)
  end
  columns.print(string.format(title, PAUSE_SECONDS * 1e3), header(plan), rows,
    columns.failures(records))
  return records
end

return sleepers
