--- Contestants that take turns in alternating rounds, and what came of it: medians, and median
-- ratios to the first one, the yardstick of the others.
local arena = require "arena"
local process = require "process"
local stats = require "stats"

local rounds = {}

--- @tparam {table,...} list of contestants
-- @treturn {table,...} an entry for each: `name`, `contestant`, `rounds` (empty)
function rounds.entries(list)
  local entries = {}
  for i, contestant in ipairs(list) do
    entries[i] = {name = contestant.name, contestant = contestant, rounds = {}}
  end
  return entries
end

--- The same with a running server each.
-- @treturn {table,...} entries with `server`, or with `failed`: the reason
function rounds.start(list)
  local entries = rounds.entries(list)
  for _, entry in ipairs(entries) do
    entry.server, entry.failed = arena.start(entry.contestant)
  end
  return entries
end

--- Stops the servers.
function rounds.stop(entries)
  for _, entry in ipairs(entries) do
    if entry.server then process.stop(entry.server) end
  end
end

--- Lets the entries take turns; one that has failed is passed over.
-- @tparam {table,...} entries
-- @tparam integer count of rounds
-- @tparam function measure called with an entry: the round's record, or nil and a reason
function rounds.alternate(entries, count, measure)
  for _ = 1, count do
    for _, entry in ipairs(entries) do
      if not entry.failed then
        local result
        result, entry.failed = measure(entry)
        table.insert(entry.rounds, result)
      end
    end
  end
end

--- @tparam {table,...} entries
-- @tparam {[string]=string,...} medians a summary's fields, and the rounds' that they come from
-- @tparam {[string]=string,...} ratios the same for ratios
-- @treturn {table,...} a record for each entry: `name`, `failed`, `rounds`, medians and ratios
function rounds.summaries(entries, medians, ratios)
  local records = {}
  for i, entry in ipairs(entries) do
    local record = {name = entry.name, failed = entry.failed, rounds = entry.rounds}
    for name, field in pairs(medians) do record[name] = stats.median_of(entry.rounds, field) end
    for name, field in pairs(ratios) do
      record[name] = stats.median_ratio(entry.rounds, entries[1].rounds, field)
    end
    records[i] = record
  end
  return records
end

return rounds
