--- System calls per round trip of one connection, as strace counts them.
local arena = require "arena"
local columns = require "columns"
local process = require "process"

local syscalls = {}

local PIPELINE = 16

-- Tracing slows the server so much that the next message would be there before it looks: a server
-- that tries first would never have to wait, as it does in life.
local THINK_MICROSECONDS = 500

local groups = {
  epoll_wait = "wait", epoll_pwait = "wait", epoll_pwait2 = "wait",
  recvfrom = "receive", recvmsg = "receive", read = "receive", readv = "receive",
  sendto = "send", sendmsg = "send", write = "send", writev = "send",
  epoll_ctl = "epoll_ctl",
}

local order = {"wait", "receive", "send", "epoll_ctl", "other"}

local header = {"", "epoll_wait", "receive", "send", "epoll_ctl", "other", "sum"}

-- Sums the calls of an `strace -c` table by group.
local function count_calls(report)
  local counts = {wait = 0, receive = 0, send = 0, epoll_ctl = 0, other = 0}
  local columns_of_strace = "^%s*[%d.]+%s+[%d.]+%s+%d+%s+(%d+)%s+%d*%s*([%a_][%w_]*)%s*$"
  for line in report:gmatch("[^\n]+") do
    local calls, name = line:match(columns_of_strace)
    if name and name ~= "total" then
      local group = groups[name] or "other"
      counts[group] = counts[group] + tonumber(calls)
    end
  end
  return counts
end

local function read_and_remove(path)
  local file = io.open(path)
  local text = file and file:read("a") or ""
  if file then file:close() end
  os.remove(path)
  return text
end

-- The tracer counts from before the first connect until after the last close: some calls among
-- thousands.
local function trace(all, server, seconds, pipeline)
  local report = os.tmpname()
  local tracer, reason = process.start(
    {"strace", "-c", "-f", "-p", tostring(server.pid), "-o", report}, {ready = "(attached)"})
  if not tracer then return nil, reason end
  local result, failed = arena.load(all, server, 1, seconds, "--pipeline", tostring(pipeline),
    "--think", tostring(THINK_MICROSECONDS))
  process.stop(tracer)
  local counts = count_calls(read_and_remove(report))
  if not result then return nil, failed end
  local record = {pipeline = pipeline, round_trips = result.requests_total // pipeline}
  for _, group in ipairs(order) do record[group] = counts[group] / record.round_trips end
  return record
end

local function label(name, pipeline)
  return pipeline == 1 and name or string.format("%s, %d messages", name, pipeline)
end

local function row(record)
  local cells, sum = {record.name}, 0
  for i, group in ipairs(order) do
    cells[i + 1] = columns.cell(record[group])
    sum = sum + (record[group] or 0)
  end
  cells[#cells + 1] = columns.cell(sum > 0 and sum or nil)
  return cells
end

local function measure(all, contestant, seconds, pipeline)
  local record, reason = arena.with_server(contestant, function(server)
    return trace(all, server, seconds, pipeline)
  end)
  record = record or {pipeline = pipeline, failed = reason}
  record.name = label(contestant.name, pipeline)
  return record
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each server and way of sending
function syscalls.run(all, quick)
  local records, rows = {}, {}
  for _, pipeline in ipairs {1, PIPELINE} do
    for _, contestant in ipairs(all:echo_servers()) do
      local record = measure(all, contestant, quick and 0.5 or 2, pipeline)
      records[#records + 1] = record
      rows[#rows + 1] = row(record)
    end
  end
  for _, contestant in ipairs(all:udp_servers(1)) do
    local record = measure(all, contestant, quick and 0.5 or 2, 1)
    record.name = record.name .. ", UDP"
    records[#records + 1] = record
    rows[#rows + 1] = row(record)
  end
  columns.print("System calls per round trip, one connection", header, rows,
    columns.failures(records))
  return records
end

return syscalls
