--- One request to a handler, carried by each version of HTTP: what handlers do is tested over all alike.
-- Loaded with dofile("tests/spec/http/carriers.lua"). HTTP/2 is spoken by curl.
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"

local carriers = {}

local has_curl

local function output(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read "a"
end

local function list_of(headers)
  local list = {}
  for name, value in pairs(headers or {}) do
    if type(name) == "number" then
      list[#list + 1] = { value[1], value[2] }
    else
      list[#list + 1] = { name, value }
    end
  end
  return list
end

local function read_head(text)
  local headers, lines = {}, {}
  for name, value in text:gmatch "([^\r\n:]+):[ ]?([^\r\n]*)\r?\n" do
    name = name:lower()
    lines[#lines + 1] = { name, value }
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  return headers, lines
end

local function dechunk(text)
  local out, at = {}, 1
  while true do
    local size, stop = text:match("^(%x+)\r\n()", at)
    if not size then return nil end
    local count = tonumber(size, 16)
    if count == 0 then return table.concat(out), (read_head(text:sub(stop))) end
    out[#out + 1] = text:sub(stop, stop + count - 1)
    at = stop + count + 2
  end
end

--- What a connection that was closed has said: a table with status, headers, lines (of the head in their order), body,
-- trailers, interim (a list); `broken` if the body is cut off.
function carriers.parse(text, method)
  local reply = { interim = {} }
  while true do
    local head, rest = text:match "^(.-\r\n)\r\n(.*)$"
    if not head then return nil, text end
    local status = tonumber(head:match "^HTTP/1%.1 (%d%d%d) ")
    local headers, lines = read_head(head:match "^[^\n]*\n(.*)$")
    if status >= 200 then
      reply.status, reply.headers, reply.lines, reply.body = status, headers, lines, rest
      break
    end
    reply.interim[#reply.interim + 1] = { status = status, headers = headers }
    text = rest
  end
  local length = tonumber(reply.headers["content-length"])
  if reply.headers["transfer-encoding"] == "chunked" then
    reply.body, reply.trailers = dechunk(reply.body)
    reply.broken = reply.body == nil
  elseif length and method ~= "HEAD" and reply.status ~= 304 then
    reply.broken = #reply.body ~= length
  end
  return reply
end

local function request_text(version, how)
  local lines = { ("%s %s HTTP/%s"):format(how.method or "GET", how.path or "/", version), "Host: a.example" }
  for _, field in ipairs(list_of(how.headers)) do lines[#lines + 1] = field[1] .. ": " .. field[2] end
  lines[#lines + 1] = "Connection: close"
  if how.body then lines[#lines + 1] = "Content-Length: " .. #how.body end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (how.body or "")
end

local function raw(pair, version)
  return function(handler, how)
    how = how or {}
    local here <close>, there = pair()
    here:set_timeout(30)
    local server = http.server(how.opts or { on_error = function() end }, handler)
    local serving = task.spawn(server.serve, server, there)
    local sending = task.spawn({ quiet = true }, here.write, here, request_text(version, how))
    local text = here:read_all()
    here:close()
    sending:join()
    serving:join()
    return carriers.parse(text or "", how.method)
  end
end

carriers["HTTP/1.0"] = raw(net.pair, "1.0")
carriers["HTTP/1.1"] = raw(net.pair, "1.1")
carriers.memory = raw(net.memory_pair, "1.1")

--- The same in memory, with the options of net.memory_pair.
function carriers.in_memory(opts) return raw(function() return net.memory_pair(opts) end, "1.1") end

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function curl(address, how)
  local head, body, input = os.tmpname(), os.tmpname(), os.tmpname()
  local parts = { "curl -s -g --path-as-is --max-time 20 --http2-prior-knowledge -D", head, "-o", body }
  if how.method == "HEAD" then parts[#parts + 1] = "-I"
  elseif how.method then parts[#parts + 1] = "-X " .. how.method end
  for _, field in ipairs(list_of(how.headers)) do
    parts[#parts + 1] = "-H " .. quote(field[1] .. (field[2] == "" and ";" or ": " .. field[2]))
  end
  if how.body then
    local file <close> = assert(io.open(input, "wb"))
    file:write(how.body)
    parts[#parts + 1] = "--data-binary @" .. input
    parts[#parts + 1] = "-H 'Expect:'"
    if not (how.headers and (how.headers["content-type"] or how.headers["Content-Type"])) then
      parts[#parts + 1] = "-H 'Content-Type:'"
    end
  end
  parts[#parts + 1] = quote(("http://%s%s"):format(tostring(address), how.path or "/"))
  parts[#parts + 1] = "; echo $?"
  local status = tonumber((output(table.concat(parts, " "))))
  local reply = { interim = {}, broken = status ~= 0 }
  for text in read_file(head):gmatch "(HTTP/2 .-\r\n)\r\n" do
    local number = tonumber(text:match "^HTTP/2 (%d+)")
    local headers, lines = read_head(text:match "^[^\n]*\n(.*)$")
    if number >= 200 then
      reply.status, reply.headers, reply.lines = number, headers, lines
    else
      reply.interim[#reply.interim + 1] = { status = number, headers = headers }
    end
  end
  reply.body = how.method == "HEAD" and "" or read_file(body)
  os.remove(head) os.remove(body) os.remove(input)
  return reply.status and reply or nil
end

carriers["HTTP/2"] = function(handler, how)
  how = how or {}
  local listener <close> = assert(net.listen("127.0.0.1", 0))
  local server = http.server(how.opts or { on_error = function() end }, handler)
  local serving = task.spawn(server.serve, server, listener)
  local reply = curl(listener:address(), how)
  server:stop(0)
  serving:join()
  return reply
end

--- Defines a test for each carrier: each(it, "title", function(ask) ... end).
function carriers.each(it, title, body)
  if has_curl == nil then has_curl = output("curl -V 2>/dev/null"):find "HTTP2" ~= nil end
  for _, name in ipairs { "HTTP/1.0", "HTTP/1.1", "memory", "HTTP/2" } do
    if name ~= "HTTP/2" or has_curl then
      it(title .. " (" .. name .. ")", function() body(carriers[name], name) end)
    end
  end
end

return carriers
