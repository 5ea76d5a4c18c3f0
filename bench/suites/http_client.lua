--- HTTP clients: what 10,000 requests over 16 connections cost them, in alternating rounds.
local arena = require "arena"
local columns = require "columns"
local json = require "json"
local process = require "process"
local stats = require "stats"

local http_client = {}

local TASKS, LOAD_CPU = 16, 1

-- One round of one client: microseconds of its CPU for a request, or nil and a reason.
local function ask(client, server, count)
  local command = table.move(client.command, 1, #client.command, 1, {})
  local url = ("http://127.0.0.1:%s/"):format(server.port)
  table.move({ url, tostring(count), tostring(TASKS) }, 1, 3, #command + 1, command)
  local output, reason = process.capture(command, {cpu = LOAD_CPU, limit = 120})
  local result = output and json.decode_lines(output)[1]
  if not result then return nil, reason or "failed: no figure" end
  return result.cpu_us_per_request
end

local function measure(clients, server, count, times)
  for _ = 1, times do
    for _, client in ipairs(clients) do
      local figure, reason = ask(client, server, count)
      client.failed = client.failed or reason
      client.figures[#client.figures + 1] = figure
    end
  end
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each client
function http_client.run(all, quick)
  local clients = all:http_clients()
  for _, client in ipairs(clients) do client.figures = {} end
  local _, reason = arena.with_server(all:http_servers()[1], function(server)
    measure(clients, server, 10000, quick and 1 or 5)
  end)
  local records, rows = {}, {}
  for i, client in ipairs(clients) do
    local record = {name = client.name, failed = reason or client.failed}
    if #client.figures > 0 then record.cpu_us_per_request = stats.median(client.figures) end
    records[i], rows[i] = record, {record.name, columns.cell(record.cpu_us_per_request)}
  end
  columns.print("HTTP clients, 10,000 requests over " .. TASKS .. " connections",
    {"", "CPU us/request"}, rows, columns.failures(records))
  return records
end

return http_client
