-- moonlet --attach PID|ADDR: the tasks of another program in the terminal, like top; with --web a
-- place for a browser.

local access = require "moonlet.inspector.access"
local fs = require "moonlet.fs"
local http = require "moonlet.http"
local json = require "moonlet.json"
local mistake = require "moonlet.inspector.mistake"
local net = require "moonlet.net"
local screen = require "moonlet.inspector.screen"
local task = require "moonlet.task"
local terminal = require "moonlet.terminal"

local ipairs, pcall, print, require = ipairs, pcall, print, require
local tonumber, tostring = tonumber, tostring
local assert, setmetatable, type = assert, setmetatable, type
local huge, io, table_concat = math.huge, io, table.concat

local attach = {}

-- ---- finding the program ----

-- Where the socket of a process may be.
local function paths_of(pid)
  local owner = fs.stat("/proc/" .. pid)
  local paths = { access.directory() .. "/" .. pid .. ".sock" }
  if owner then
    paths[2] = ("/run/user/%d/moonlet/%s.sock"):format(owner.uid, pid)
    paths[3] = ("/tmp/moonlet-%d/%s.sock"):format(owner.uid, pid)
  end
  return paths
end

local UNKNOWN = "process %s has no inspector here: start it with --inspect, as your own user;"
  .. " if it has one at a port, attach to the URL that it has printed"

local function find_socket(pid)
  for _, path in ipairs(paths_of(pid)) do
    if fs.stat(path) then return path end
  end
  local is_there = fs.stat("/proc/" .. pid) ~= nil
  mistake((is_there and UNKNOWN or "there is no process %s"):format(pid))
end

-- Where the program is: {path} of a Unix socket, or {base, host, token} of a URL. Raises.
local function locate(target)
  local path = target:match "^unix:(.+)$" or target:match "^%d+$" and find_socket(target)
  if path then return { path = path } end
  local host, token = target:match "^http://([^/]+)/%?token=(%x+)$"
  if not host then mistake("'" .. target .. "' is no PID, unix:PATH or URL with a token") end
  return { base = "http://" .. host, host = host, token = token }
end

local Program = {}
Program.__index = Program

-- Asks the inspector. Returns the answer; or nil, why there is none, and whether the program did
-- not answer in time.
function Program:ask(path, opts)
  opts = opts or {}
  opts.url = self.base .. path
  local reply, message = self.client:request(opts)
  if not reply then return nil, message end
  if reply.status ~= 200 then
    local body = reply:json()
    local why = type(body) == "table" and body.error or reply.body:match "^(.-)%s*$"
    return nil, why, reply.status == 504
  end
  return reply:json()
end

-- The program at a PID, "unix:PATH", or the URL that one has printed.
local function open(target)
  local place = locate(target)
  local path = place.path
  if path then
    local client = http.client { connect = function() return net.connect("unix:" .. path) end }
    return setmetatable({ client = client, base = "http://inspected", path = path }, Program)
  end
  local client = http.client { cookies = true }
  local reply, message = client:get(target)
  if not reply then mistake(place.base .. ": " .. message) end
  return setmetatable({ client = client, base = place.base }, Program)
end

-- ---- for a debugger ----

-- The longest that the inspector may take, in seconds; bytes of its answer.
local PATIENCE, LONGEST_HEAD, LONGEST_BODY = 20, 16 * 1024, 64 * 1024

local function connect(place)
  if place.path then return net.connect("unix:" .. place.path) end
  local host, port = place.host:match "^%[?([^%]]+)%]?:(%d+)$"
  if not host then return nil, "'" .. place.host .. "' has no port" end
  return net.connect(host, tonumber(port))
end

-- Why there is no session, as the inspector says it.
local function refusal_of(stream, head)
  local length = tonumber(head:lower():match "\r\ncontent%-length: *(%d+)")
  local body = length and length <= LONGEST_BODY and stream:read_exactly(length) or ""
  local said = json.decode(body)
  return type(said) == "table" and said.error or body:gsub("%s+$", "")
end

local UPGRADE = "GET /dap HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: dap\r\n%s\r\n"

--- Begins a session of the Debug Adapter Protocol with a program.
-- @tparam string target as for attach.run()
-- @treturn Stream of the protocol; or nil, message
function attach.debug(target)
  local is_found, place = pcall(locate, target)
  if not is_found then return nil, (tostring(place):gsub("%s+$", "")) end
  local stream, message = connect(place)
  if not stream then return nil, message end
  stream:set_timeout(PATIENCE)
  local token = place.token and "Authorization: Bearer " .. place.token .. "\r\n" or ""
  stream:write(UPGRADE:format(place.host or "inspected", token))
  local head
  head, message = stream:read_until("\r\n\r\n", LONGEST_HEAD)
  local is_good = head and head:find "^HTTP/1%.1 101 "
  if is_good then
    stream:set_timeout(nil)
    return stream
  end
  if head then message = refusal_of(stream, head) end
  stream:close()
  return nil, message
end

-- ---- for a browser ----

-- Passes a request on.
local function pass_on(program, req)
  local body = req:body()
  local reply, message = program.client:request {
    url = program.base .. req.target, method = req.method, body = body ~= "" and body or nil,
    headers = { accept = req.headers.accept }, timeout = 700, redirects = 0,
  }
  if not reply then return 502, message .. "\n" end
  return reply.status, reply.headers, reply.body
end

local function serve(program)
  local place = assert(access.listen("127.0.0.1:0", { write = true }, function(req)
    return pass_on(program, req)
  end))
  print(place.url)
  io.stdout:flush()
  place:serve()
end

-- ---- in the terminal ----

-- What each task has done since the last look, as `rate`, switches a second, and `load`, the share
-- of the time that its code ran, in percent.
local function add_rates(tasks, last, seconds)
  local seen = {}
  for _, entry in ipairs(tasks) do
    local before = last[entry.id]
    local is_known = before and seconds > 0
    entry.rate = is_known and (entry.switches - before.switches) / seconds or 0
    entry.load = is_known and before.cpu and 100 * ((entry.cpu or 0) - before.cpu) / seconds or 0
    seen[entry.id] = { switches = entry.switches, cpu = entry.cpu }
  end
  return seen
end

local function look(program, last, since)
  local answer, message, is_late = program:ask "/tasks?stack=0&limit=100000"
  if not answer then return nil, message, is_late end
  return answer, add_rates(answer.tasks, last, answer.at - since)
end

-- The same for a program that may be busy for a while: it has 0.1 s for each answer.
local function look_patiently(program, last, since)
  local deadline = task.now() + PATIENCE
  local answer, seen, is_late
  repeat
    answer, seen, is_late = look(program, last, since)
  until answer or not is_late or task.now() >= deadline
  if not answer then mistake(seen) end
  return answer, seen
end

local function print_once(program)
  local first, seen = look_patiently(program, {}, 0)
  task.sleep(0.5)
  local answer = look_patiently(program, seen, first.at)
  io.stdout:write(table_concat(screen.list(answer, { sort = "cpu" }, 120, huge), "\n"), "\n")
end

local function detail_of(program, id)
  local answer, message = program:ask("/tasks?id=" .. id)
  return answer and answer.tasks[1], message
end

local function refresh(program, view)
  local rows, columns = terminal.size()
  rows, columns = rows or 24, columns or 80
  local lines
  if view.detail then
    lines = screen.detail(detail_of(program, view.detail))
  else
    local answer, seen = look(program, view.seen or {}, view.at or 0)
    view.problem = not answer and seen or nil
    if answer then view.answer, view.seen, view.at = answer, seen, answer.at end
    lines = screen.list(view.answer or { tasks = {}, count = 0 }, view, columns, rows)
  end
  screen.draw(lines, rows, columns)
end

local function read_keys(view, changed)
  while not view.is_over do
    local key = io.read(1)
    if not key then view.is_over = true else screen.key(view, key) end
    changed:notify()
  end
end

local Alternate = setmetatable({}, {
  __close = function() io.stdout:write "\27[?25h\27[?1049l" end,
})

local function watch(program)
  local view, changed = { sort = "cpu", selected = 1 }, require("moonlet.sync").condition()
  local raw <close> = assert(terminal.raw())
  local _ <close> = Alternate
  io.stdout:write "\27[?1049h\27[?25l"
  task.spawn({ daemon = true }, read_keys, view, changed)
  while not view.is_over do
    refresh(program, view)
    changed:wait(1)
  end
  return raw
end

--- Runs the program's option --attach.
function attach.run(target, is_web)
  local program = open(target)
  if is_web then return serve(program) end
  if not terminal.is(io.stdout) or not terminal.is(io.stdin) then return print_once(program) end
  watch(program)
end

return attach
