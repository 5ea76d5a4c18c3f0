--- One fast connection beside 1,000 slow ones, which send a byte every half second: how long its
-- requests take, against those of the same connection alone.
local arena = require "arena"
local columns = require "columns"
local process = require "process"

local slow = {}

local PEERS, LOAD_CPU = 1000, 1

local function p99(all, server, seconds)
  local result, reason = arena.load(all, server, 1, seconds, "--warmup", "0.3")
  return result and result.p99_us, reason
end

local function measure_server(all, contestant, seconds)
  return arena.with_server(contestant, function(server)
    local alone, reason = p99(all, server, seconds)
    local others, failed = process.start({
      all.settings.moonlet, all:script("slow_peers.lua"), tostring(server.port), tostring(PEERS),
    }, {cpu = LOAD_CPU, ready = "ready (%d+)"})
    if not others then return nil, failed end
    local beside, failed_beside = p99(all, server, seconds)
    process.stop(others)
    if not (alone and beside) then return nil, reason or failed_beside end
    return {alone = alone, beside = beside, ratio = beside / alone}
  end)
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each server
function slow.run(all, quick)
  local records, rows = {}, {}
  for i, contestant in ipairs(all:echo_servers()) do
    local result, reason = measure_server(all, contestant, quick and 1 or 5)
    local record = result or {failed = reason}
    record.name = contestant.name
    records[i] = record
    rows[i] = {
      record.name, columns.cell(record.alone, "%.0f"), columns.cell(record.beside, "%.0f"),
      columns.cell(record.ratio),
    }
  end
  columns.print("p99 of one connection, us, alone and beside " .. PEERS .. " slow ones",
    {"", "alone", "beside", "ratio"}, rows, columns.failures(records))
  return records
end

return slow
