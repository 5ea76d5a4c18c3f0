--- One good client of a web server beside 1,000 slow peers of each kind: heads and bodies that come
-- a byte every half second, and answers that nobody reads. How long its requests take, against
-- those of the same client alone.
local arena = require "arena"
local columns = require "columns"
local process = require "process"
local wrk = require "wrk"

local slow_http = {}

local PEERS, LOAD_CPU = 1000, 1

local function p99(server, seconds)
  local result, reason = wrk.load(server, { path = "/", connections = 1, seconds = seconds })
  return result and result.p99_us, reason
end

local function measure(all, contestant, seconds)
  return arena.with_server(contestant, function(server)
    local alone, reason = p99(server, seconds)
    local others, failed = process.start({
      all.settings.moonlet, all:script("http_slow_peers.lua"), tostring(server.port),
      tostring(PEERS),
    }, {cpu = LOAD_CPU, ready = "ready (%d+)"})
    if not others then return nil, failed end
    local beside, failed_beside = p99(server, seconds)
    process.stop(others)
    if not (alone and beside) then return nil, reason or failed_beside end
    return {alone = alone, beside = beside, ratio = beside / alone}
  end)
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each server
function slow_http.run(all, quick)
  local contestant = {
    name = "moonlet", command = {all.settings.moonlet, all:script("http.lua")},
  }
  local result, reason = measure(all, contestant, quick and 2 or 5)
  local record = result or {failed = reason}
  record.name = contestant.name
  columns.print("p99 of one HTTP client, us, alone and beside 3 x " .. PEERS .. " slow peers",
    {"", "alone", "beside", "ratio"}, {{
      record.name, columns.cell(record.alone, "%.0f"), columns.cell(record.beside, "%.0f"),
      columns.cell(record.ratio),
    }}, columns.failures({record}))
  return {record}
end

return slow_http
