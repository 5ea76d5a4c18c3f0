--- Events of a watched directory, made by a C program as fast as it can, beside a reader in C.
local columns = require "columns"
local json = require "json"
local process = require "process"
local stats = require "stats"

local watch = {}

local EVENTS = 100000

local function measure(command, storm, rounds)
  local entry = { runs = {} }
  for _ = 1, rounds do
    local directory = os.tmpname()
    os.remove(directory)
    process.capture { "mkdir", "-p", directory .. "/in" }
    process.capture { "touch", directory .. "/file" }
    local words = table.move({ directory .. "/in", tostring(EVENTS), storm }, 1, 3, #command + 1,
      { table.unpack(command) })
    local output, reason = process.capture(words)
    process.capture { "rm", "-rf", directory }
    table.move(json.decode_lines(output or ""), 1, 1, #entry.runs + 1, entry.runs)
    entry.failed = reason
  end
  return entry
end

local function record_of(name, entry)
  local cpu = stats.median_of(entry.runs, "cpu")
  return {
    name = name, failed = entry.failed, s = stats.median_of(entry.runs, "s"),
    us = cpu and cpu / EVENTS * 1e6, lost = stats.median_of(entry.runs, "lost"),
  }
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each reader
function watch.run(all, quick)
  local storm, rounds = all:c "watch_storm", quick and 1 or 5
  local readers = {
    { "inotify (C)", { all:c "watch_inotify" } },
    { "moonlet", { all.settings.moonlet, all:script "watch.lua" } },
  }
  local records, rows = {}, {}
  for i, reader in ipairs(readers) do
    local record = record_of(reader[1], measure(reader[2], storm, rounds))
    records[i] = record
    rows[i] = { record.name, columns.cell(record.s, "%.3f"), columns.cell(record.us),
      columns.cell(record.lost, "%d") }
  end
  columns.print(("%d events of a watched directory"):format(EVENTS),
    { "", "s", "us CPU an event", "lost" }, rows, columns.failures(records))
  return records
end

return watch
