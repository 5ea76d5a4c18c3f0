--- Calls of files that are in memory, beside the same calls in C, and a walk beside find(1).
local columns = require "columns"
local json = require "json"
local process = require "process"

local files = {}

local DIRECTORIES, LIMIT_SECONDS = 100, 120

local TITLES = {
  "stat", "read 4 KB of an open file", "read a file of 4 KB", "walk over the tree",
  "read a file of /proc, by a worker",
}

local MAKE = [[
  cd "$1" && head -c 4096 /dev/zero > file && mkdir tree && cd tree || exit
  for d in $(seq "$2"); do mkdir $d && (cd $d && seq -f %g.txt 1 "$3" | xargs touch) || exit; done]]

local function by_name(output)
  local list = {}
  for _, line in ipairs(output and json.decode_lines(output) or {}) do list[line.what] = line.ns end
  return list
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each call, in nanoseconds
function files.run(all, quick)
  local place = os.tmpname()
  os.remove(place)
  os.execute(("mkdir %s && sh -c %s sh %s %d %d"):format(place, process.quote(MAKE), place,
    DIRECTORIES, quick and 100 or 1000))
  local arguments = { place .. "/file", place .. "/tree", quick and "5000" or "100000" }
  local function run(...)
    local command = { ... }
    table.move(arguments, 1, 3, #command + 1, command)
    return process.capture(command, { cpu = 0, limit = LIMIT_SECONDS })
  end
  local ours, reason = run(all.settings.moonlet, all:script "files.lua")
  local c, missing = run(all:c "files")
  os.execute("rm -rf " .. place)
  ours, c = by_name(ours), by_name(c)
  local records, rows = {}, {}
  for i, what in ipairs { "stat", "read", "whole", "walk", "worker" } do
    records[#records + 1] = { what = what, moonlet = ours[what], c = c[what] }
    rows[i] = { TITLES[i], columns.cell(ours[what], "%.0f"), columns.cell(c[what], "%.0f"),
      columns.cell(ours[what] and c[what] and ours[what] / c[what]) }
  end
  columns.print("Files in memory, nanoseconds a call", { "", "moonlet", "C, find", "ratio" }, rows,
    { reason, missing })
  return records
end

return files
