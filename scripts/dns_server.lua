-- A name server for the names in a file like /etc/hosts, over UDP.
--
--     moonlet scripts/dns_server.lua HOSTS_FILE [HOST] [PORT]        (127.0.0.1 5353)
--
-- Try it with `dig @127.0.0.1 -p 5353 name`; end it with Ctrl-C. It answers questions for A, AAAA
-- and ANY; names that the file does not have do not exist. What is no question gets no answer.
local net = require "moonlet.net"
local task = require "moonlet.task"

local TTL = 60 -- seconds
local MAX_ANSWER = 512 -- bytes: what every client takes (RFC 1035)

local NO_ERROR, FORMAT_ERROR, NO_SUCH_NAME, NOT_IMPLEMENTED, REFUSED = 0, 1, 3, 4, 5
local ANY, CLASS_IN = 255, 1
local RESPONSE, AUTHORITATIVE, TRUNCATED, RECURSION_DESIRED = 0x8000, 0x0400, 0x0200, 0x0100
local OPCODE = 0x7800

local function ipv4_bytes(host)
  local bytes = {host:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$"}
  for i, text in ipairs(bytes) do
    bytes[i] = tonumber(text)
    if bytes[i] > 255 then return nil end
  end
  return #bytes == 4 and string.char(table.unpack(bytes)) or nil
end

-- "1:2a" as a list of numbers; nil: something else stands between the colons.
local function ipv6_groups(text)
  local groups = {}
  for group in text:gmatch "[^:]+" do
    if not group:find "^%x%x?%x?%x?$" then return nil end
    groups[#groups + 1] = tonumber(group, 16)
  end
  return groups
end

local function ipv6_bytes(host)
  local head, tail = host:match "^(.-)::(.*)$"
  local groups, rest = ipv6_groups(head or host), ipv6_groups(tail or "")
  if not (groups and rest) then return nil end
  while head and #groups + #rest < 8 do groups[#groups + 1] = 0 end
  table.move(rest, 1, #rest, #groups + 1, groups)
  return #groups == 8 and string.pack(">HHHHHHHH", table.unpack(groups)) or nil
end

-- The type and the data of the record for an address; nil: it is none.
local function record_of(host)
  local four, six = ipv4_bytes(host), ipv6_bytes(host)
  return four and {type = 1, data = four} or six and {type = 28, data = six} or nil
end

local function add_names(records, names, record)
  for name in names:gmatch "%S+" do
    local key = name:lower():gsub("%.$", "")
    records[key] = records[key] or {}
    table.insert(records[key], record)
  end
end

-- The records of each name, in lower case. Lines that make no sense are skipped, as elsewhere.
local function read_hosts(file)
  local records = {}
  for line in file:lines() do
    local host, names = line:gsub("#.*", ""):match "^%s*(%S+)%s+(.*)$"
    local record = host and record_of(host)
    if record then add_names(records, names, record) end
  end
  return records
end

-- The question of a packet: its name, type, class, and its bytes as sent; nil: it is malformed.
local function read_question(packet)
  local labels, at, total = {}, 13, 0
  while true do
    local length = packet:byte(at)
    if not length or length > 63 or at + length > #packet then return nil end
    at = at + 1
    if length == 0 then break end
    labels[#labels + 1] = packet:sub(at, at + length - 1):lower()
    at, total = at + length, total + length + 1
  end
  if total > 254 or at + 3 > #packet then return nil end
  local kind, class = string.unpack(">HH", packet, at)
  local name, bytes = table.concat(labels, "."), packet:sub(13, at + 3)
  return {name = name, type = kind, class = class, bytes = bytes}
end

local function response(id, flags, question, answers)
  return string.pack(">HHHHHH", id, flags, question and 1 or 0, #answers, 0, 0)
    .. (question and question.bytes or "") .. table.concat(answers)
end

-- Each answer names the question's name, which begins at byte 12, by a pointer. Those that do not
-- fit are left out.
local function answers_for(question, records)
  local answers, size = {}, 12 + #question.bytes
  for _, record in ipairs(records) do
    if question.type == record.type or question.type == ANY then
      local answer = string.pack(">HHHI4s2", 0xC00C, record.type, CLASS_IN, TTL, record.data)
      size = size + #answer
      if size > MAX_ANSWER then return answers, TRUNCATED end
      answers[#answers + 1] = answer
    end
  end
  return answers, 0
end

-- What to answer a packet; nil: nothing. Never raises, whatever the packet is.
local function answer(packet, names)
  if #packet < 12 then return nil end
  local id, flags, questions = string.unpack(">HHH", packet)
  if flags & RESPONSE ~= 0 then return nil end -- or two servers would talk to each other for ever
  local head = RESPONSE | flags & (OPCODE | RECURSION_DESIRED)
  if flags & OPCODE ~= 0 then return response(id, head | NOT_IMPLEMENTED, nil, {}) end
  local question = questions == 1 and read_question(packet)
  if not question then return response(id, head | FORMAT_ERROR, nil, {}) end
  if question.class ~= CLASS_IN then return response(id, head | REFUSED, question, {}) end
  head = head | AUTHORITATIVE
  local records = names[question.name]
  if not records then return response(id, head | NO_SUCH_NAME, question, {}) end
  local answers, truncated = answers_for(question, records)
  return response(id, head | truncated | NO_ERROR, question, answers)
end

local function port_number(text)
  local number = math.tointeger(tonumber(text))
  return number and number >= 0 and number <= 65535 and number
end

local path, host, port = arg[1], arg[2] or "127.0.0.1", port_number(arg[3] or 5353)
if #arg > 3 or not path or path:find "^%-" or not port then
  io.stderr:write("usage: moonlet dns_server.lua HOSTS_FILE [HOST] [PORT]\n")
  os.exit(1)
end

local function fail(...)
  io.stderr:write("dns_server: ", ...)
  io.stderr:write("\n")
  os.exit(1)
end

local file <close>, reason = io.open(path)
if not file then fail("cannot read ", reason) end
local names = read_hosts(file)
local server <close>, message = net.udp {host = host, port = port}
if not server then fail("cannot listen on ", message) end
io.stdout:setvbuf "line"
print("listening on " .. tostring(server:address()))

while true do
  local packet, client = server:receive_from()
  if packet then
    local reply = answer(packet, names)
    if reply then server:send_to(reply, client) end -- a client that is gone misses it
  else
    io.stderr:write("dns_server: ", client, "\n")
    task.sleep(0.1)
  end
end
