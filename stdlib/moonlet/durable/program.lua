--- `moonlet --durable DB ls|show|retry|cancel`: the runs of a database at a terminal.
-- @module moonlet.durable.program

local arguments = arg or {}
local ipairs, pcall, tonumber, tostring, type = ipairs, pcall, tonumber, tostring, type
local concat = table.concat
local floor, tointeger = math.floor, math.tointeger
local date, exit, stderr, stdout = os.date, os.exit, io.stderr, io.stdout

local durable = require "moonlet.durable"
local json = require "moonlet.json"
local statuses = require("moonlet.durable.admin").statuses

local program = {}

local USAGE = [=[
usage: moonlet --durable DB COMMAND
  ls [STATUS [COUNT]]    the newest runs: queued, waiting, running, done, failed, cancelled
  show ID                one run with its steps
  retry ID               a run that failed goes on from the failed step
  cancel ID [REASON]     a run ends; its cleanups run
DB is a file of SQLite or postgres://...
]=]

local function complain(text)
  stderr:write("moonlet: ", text, "\n")
  exit(1, true)
end

-- Bytes that would act on the terminal are shown as numbers.
local function plain(value)
  return (tostring(value):gsub("%c", function(sign) return ("\\%03d"):format(sign:byte()) end))
end

local function shown(value)
  local ok, text = pcall(json.encode, value)
  if not ok then text = ("%q"):format(tostring(value)) end
  text = plain(text)
  return #text > 200 and text:sub(1, 200) .. "..." or text
end

local function time(seconds)
  if type(seconds) ~= "number" then return "-" end
  return date("%Y-%m-%d %H:%M:%S", floor(seconds))
end

local function values(list)
  local texts = {}
  for i = 1, list.n do texts[i] = list[i] == nil and "nil" or shown(list[i]) end
  return concat(texts, ", ")
end

local function ls(d, status, count)
  local limit = tointeger(tonumber(count or 100))
  if status and not statuses[status] then
    return complain(("there is no status '%s'"):format(plain(status)))
  elseif not limit or limit < 1 then
    return complain(("'%s' is no number of runs"):format(plain(count)))
  end
  local rows, message = d:list { status = status, limit = limit }
  if not rows then return complain(message) end
  local form = "%-10s %-19s %-20s %s%s\n"
  stdout:write(form:format("STATUS", "CREATED", "WORKFLOW", "ID", ""))
  for _, row in ipairs(rows) do
    local note = row.message and ("  (%s)"):format(plain(row.message)) or ""
    stdout:write(form:format(row.status, time(row.created), plain(row.workflow), plain(row.id),
      note))
  end
end

local function outcome_of(record)
  if record.message then return ("%s (%s)"):format(plain(record.message), plain(record.code)) end
  return record.result and values(record.result) or ""
end

local function duration(record)
  if not (record.began and record.ended) then return "" end
  return ("%.3f s"):format(record.ended - record.began)
end

local function complain_of(id, message)
  return complain(("run '%s': %s"):format(plain(id), message))
end

local function show(d, id)
  local row, message = d:get(id)
  if not row then return complain_of(id, message) end
  for _, name in ipairs { "id", "workflow", "version", "queue", "status", "worker", "waits", "code",
    "message", "parent", "cancel" } do
    if row[name] ~= nil then stdout:write(("%-10s %s\n"):format(name, plain(row[name]))) end
  end
  for _, name in ipairs { "created", "claimed", "ended" } do
    if row[name] then stdout:write(("%-10s %s\n"):format(name, time(row[name]))) end
  end
  stdout:write(("%-10s %s\n"):format("input", shown(row.input)))
  if row.result then stdout:write(("%-10s %s\n"):format("result", values(row.result))) end
  for _, record in ipairs(row.steps) do
    stdout:write(("  %-11s %-9s %-24s %10s  %s\n"):format(record.kind, record.state,
      plain(record.key), duration(record), outcome_of(record)))
  end
end

local function change(method)
  return function(d, id, reason)
    local ok, message = d[method](d, id, reason)
    if not ok then return complain_of(id, message) end
  end
end

local COMMANDS = {
  ls = { ls, 0, 2 }, show = { show, 1, 1 }, retry = { change "retry", 1, 1 },
  cancel = { change "cancel", 1, 2 },
}

--- Carries out what the command line says.
function program.run()
  local address, command = arguments[1], COMMANDS[arguments[2]]
  local count = #arguments - 2
  if not address or not command or count < command[2] or count > command[3] then
    stderr:write(USAGE)
    return exit(1, true)
  end
  local opts = { create = false, db = not address:find "^postgres" and { mode = "write" } or nil }
  local d <close>, message = durable.open(address, opts)
  if not d then return complain(message) end
  command[1](d, arguments[3], arguments[4])
end

return program
