-- A chat room: what one says, everybody reads.
--
--     moonlet scripts/chat_server.lua [HOST] [PORT]        (127.0.0.1 7001)
--
-- Join it with `nc 127.0.0.1 7001`: the first line is your name. /who tells who is here, /quit
-- leaves. Who does not read fast enough is dropped, and keeps nobody waiting.
local net = require "moonlet.net"
local task = require "moonlet.task"

local LONGEST_LINE = 1000 -- bytes
local WRITE_SECONDS = 10 -- to take what is sent, or be dropped
local MOST_UNSENT = 1000 -- lines that wait for a slow reader

local function port_number(text)
  local number = math.tointeger(tonumber(text))
  return number and number >= 0 and number <= 65535 and number
end

local host, port = arg[1] or "127.0.0.1", port_number(arg[2] or 7001)
if #arg > 2 or host:find "^%-" or not port then
  io.stderr:write("usage: moonlet chat_server.lua [HOST] [PORT]\n")
  os.exit(1)
end

local members = {} -- name -> member

-- Sends what has gathered for a member. Whoever fails to take it is disconnected.
local function send_unsent(member)
  while #member.unsent > 0 do
    local lines = member.unsent
    member.unsent = {}
    if not member.conn:write(lines) then member.conn:close() end
  end
  member.is_sending = false
end

-- Never waits: each member has a task of its own that sends, while there is something to send.
local function tell(member, ...)
  if #member.unsent >= MOST_UNSENT then return member.conn:close() end
  table.insert(member.unsent, table.concat {...} .. "\n")
  if member.is_sending then return end
  member.is_sending = true
  task.spawn(send_unsent, member)
end

local function tell_all(...)
  for _, member in pairs(members) do tell(member, ...) end
end

local function names()
  local list = {}
  for name in pairs(members) do table.insert(list, name) end
  table.sort(list)
  return table.concat(list, ", ")
end

-- nil at the end of the stream, and for what ends it: a reset, a line too long.
local function read_text(conn)
  local line = conn:read_line(LONGEST_LINE)
  return line and line:gsub("%c", "")
end

local function ask_name(conn)
  conn:write("* your name?\n")
  while true do
    local name = read_text(conn)
    if not name then return nil end
    local is_name = #name <= 20 and name:find "^[%w_-]+$"
    if is_name and not members[name] then return name end
    conn:write(is_name and "* taken, another one?\n" or "* letters and digits, please\n")
  end
end

local commands = {}

function commands.who(member)
  tell(member, "* here: ", names())
end

local function converse(member)
  while true do
    local text = read_text(member.conn)
    if not text or text == "/quit" then return end
    local command = text:match "^/(.*)"
    if not command then
      tell_all(member.name, ": ", text)
    elseif commands[command] then
      commands[command](member)
    else
      tell(member, "* there is /who and /quit")
    end
  end
end

local function enter(member)
  members[member.name] = member
  print(member.name .. " joins from " .. tostring(member.conn:peer()))
  tell_all("* ", member.name, " is here")
end

local function leave(member)
  members[member.name] = nil
  print(member.name .. " leaves")
  tell_all("* ", member.name, " has left")
end

local function serve(conn)
  conn:set_timeout(WRITE_SECONDS, "write")
  local name = ask_name(conn)
  if not name then return end
  local member = {name = name, conn = conn, unsent = {}}
  enter(member)
  converse(member)
  leave(member)
  send_unsent(member) -- what was said last
end

local server <close>, message = net.listen(host, port, {keepalive = true})
if not server then
  io.stderr:write("chat_server: cannot listen on ", message, "\n")
  os.exit(1)
end
io.stdout:setvbuf "line"
print("listening on " .. tostring(server:address()))
server:serve(serve)
