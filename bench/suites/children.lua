--- Children, beside the same in C with posix_spawn: how long the start and the end of /bin/true
-- take, also with much memory in use, and how fast 100 of them at once write to pipes.
local columns = require "columns"
local json = require "json"
local process = require "process"
local stats = require "stats"

local children = {}

local SETTINGS = {
  { title = "spawn and wait", words = { "spawn", "1000", "0" }, quick = { "spawn", "100", "0" } },
  { title = "... with 2 GB in use", words = { "spawn", "1000", "2048" },
    quick = { "spawn", "100", "256" } },
  { title = "100 children, 8 MB each", words = { "pipes", "100", "8" },
    quick = { "pipes", "100", "1" } },
}

-- The two take turns, so that other load on the machine concerns both.
local function measure(commands, words, rounds)
  local runs = { {}, {} }
  local failed
  for _ = 1, rounds do
    for i, command in ipairs(commands) do
      local line = table.move(words, 1, #words, #command + 1, { table.unpack(command) })
      local output, reason = process.capture(line)
      failed = failed or reason
      table.move(json.decode_lines(output or ""), 1, 1, #runs[i] + 1, runs[i])
    end
  end
  return runs, failed
end

local function record_of(setting, words, commands, rounds)
  local runs, failed = measure(commands, words, rounds)
  local c, ours = stats.median_of(runs[1], "s"), stats.median_of(runs[2], "s")
  return {
    name = setting.title, failed = failed, c_s = c, s = ours, ratio = c and ours and ours / c,
  }
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each setting
function children.run(all, quick)
  local commands = {
    { all:c "children_spawn" }, { all.settings.moonlet, all:script "children.lua" },
  }
  local records, rows = {}, {}
  for i, setting in ipairs(SETTINGS) do
    local words = quick and setting.quick or setting.words
    local record = record_of(setting, words, commands, quick and 1 or 7)
    records[i] = record
    rows[i] = { record.name, columns.cell(record.c_s, "%.3f"), columns.cell(record.s, "%.3f"),
      columns.cell(record.ratio, "%.2f") }
  end
  columns.print("children: seconds", { "", "C", "moonlet", "to C" }, rows,
    columns.failures(records))
  return records
end

return children
