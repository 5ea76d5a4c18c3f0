--- The client's half of moonlet.http: requests, their responses, and the pool of connections.
-- @submodule moonlet.http

local math = math
local error, getmetatable, ipairs, pairs = error, getmetatable, ipairs, pairs
local pcall, rawget, setmetatable, tostring, type = pcall, rawget, setmetatable, tostring, type
local tonumber, io_open, io_type = tonumber, io and io.open, io and io.type
local os_remove, os_rename = os.remove, os.rename
local math_huge, math_max, math_min, math_type = math.huge, math.max, math.min, math.type
local table_concat = table.concat

local argument = require "moonlet.argument"
local cookies = require "moonlet.http.cookies"
local core = require "moonlet.http.client.core"
local json = require "moonlet.json"
local multipart = require "moonlet.http.multipart"
local net = require "moonlet.net"
local new_headers = require("moonlet.http.headers").new
local pools = require "moonlet.http.pool"
local proxies = require "moonlet.http.proxy"
local task = require "moonlet.task"
local url = require "moonlet.url"

local now = task.now

local M = {}

-- Defaults: seconds, bytes, counts.
local CONNECT, TOTAL, STREAM_HEAD, STREAM_IDLE = 10, 30, 30, 30
local REDIRECTS, MAX_BODY = 10, 64 * 1024 * 1024
local CONTINUE = 1 -- how long an answer to Expect: 100-continue is waited for
local PIECE = 64 * 1024

local PORTS = { http = 80, https = 443 }
local IDEMPOTENT = { GET = true, HEAD = true, PUT = true, DELETE = true, OPTIONS = true, TRACE = true }
local REDIRECTED = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }
local RETRIED = { [429] = true, [502] = true, [503] = true, [504] = true }
-- Failures after which the same request may succeed.
local PASSING = { ECONNRESET = true, ECONNREFUSED = true, EPIPE = true, EEOF = true, CLOSED = true,
  ETIMEDOUT = true, EHOSTUNREACH = true, ENETUNREACH = true }

local function set(text)
  local names = {}
  for name in text:gmatch "%S+" do names[name] = true end
  return names
end

local REQUEST = set "url method headers query body json form multipart redirects retries auth tls proxy \z
  max_body timeout check decode connect allow downgrade progress resume"
local CLIENT = set "base headers cookies pool version redirects retries auth tls proxy max_body timeout \z
  check decode connect allow downgrade"
local TIMES = set "connect head idle total"

-- ---- base64, for Authorization ----

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local n = a << 16 | (b or 0) << 8 | (c or 0)
    for k = 0, 3 do
      local digit = n >> (18 - 6 * k) & 63
      out[#out + 1] = (k < 2 or (k == 2 and b) or c) and DIGITS:sub(digit + 1, digit + 1) or "="
    end
  end
  return table_concat(out)
end

local function basic(user, password) return "Basic " .. base64(user .. ":" .. (password or "")) end

-- ---- time ----

-- Absolute times of a request: connect, head and idle are spans.
local function read_times(value, is_stream)
  local given = type(value) == "table" and value or { total = value }
  for name, seconds in pairs(given) do
    if not TIMES[name] or type(seconds) ~= "number" then
      error(("option 'timeout' has no '%s' of %s"):format(tostring(name), tostring(seconds)), 0)
    end
  end
  local total = given.total or (not is_stream and type(value) ~= "table" and TOTAL) or math_huge
  if type(value) == "table" and not given.total and not is_stream then total = TOTAL end
  return {
    connect = given.connect or CONNECT, head = given.head or (is_stream and STREAM_HEAD) or math_huge,
    idle = given.idle or (is_stream and STREAM_IDLE) or math_huge, at = now() + total,
  }
end

-- Seconds for one step, `span` at most.
local function left(times, span)
  local seconds = math_min(times.at - now(), span)
  if seconds == math_huge then return nil end
  return math_max(seconds, 0)
end

-- ---- connecting ----

local contexts = setmetatable({}, { __mode = "k" })
local numbers, last_number = setmetatable({}, { __mode = "k" }), 0

local function number_of(value)
  if value == nil then return 0 end
  if not numbers[value] then
    last_number = last_number + 1
    numbers[value] = last_number
  end
  return numbers[value]
end

local DEFAULT_TLS = {}

-- The context for an option `tls`: nil, true, a table or a context.
local function context_of(tls)
  if tls == nil or tls == true then tls = DEFAULT_TLS end
  if type(tls) ~= "table" then return tls end
  if tls.context then return tls.context end
  if not contexts[tls] then
    local opts = {}
    for name, value in pairs(tls) do opts[name] = value end
    opts.server_name = nil
    local context, message, code = net.tls(opts)
    if not context then return nil, message, code end
    contexts[tls] = context
  end
  return contexts[tls]
end

-- Connects over TCP to what `allow` lets through.
local function dial(host, port, times, allow)
  local seconds = left(times, times.connect)
  if not allow then return net.connect(host, port, { timeout = seconds }) end
  local at = now() + (seconds or math_huge)
  local addresses, message, code = net.resolve(host, { timeout = seconds })
  if not addresses then return nil, message, code end
  message, code = "address not allowed: " .. host, "EACCES"
  for _, address in ipairs(addresses) do
    if allow(address) then
      local stream
      stream, message, code = net.connect(address.host, port, { timeout = at < math_huge and at - now() or nil })
      if stream then return stream end
    end
  end
  return nil, message, code
end

local function fail(stream, message, code)
  stream:close()
  return nil, message, code
end

-- The tunnel that HTTP's CONNECT makes.
local function tunnel(stream, through, target, times)
  local x = core.new(stream)
  local headers = new_headers { host = target }
  if through.user then headers["proxy-authorization"] = basic(through.user, through.password) end
  local ok, message, code = x:send("CONNECT", target, headers, nil, left(times, times.connect))
  if not ok then return fail(stream, message, code) end
  local status
  status, message, code = x:receive(left(times, times.connect))
  if not status then return fail(stream, message, code) end
  if status // 100 ~= 2 then
    return fail(stream, ("the proxy answered %d"):format(status), status == 407 and "EACCES" or "EPROTO")
  end
  return stream
end

local function guard_of(stream)
  return setmetatable({ stream = stream }, { __close = function(self)
    if self.stream then self.stream:close() end
  end })
end

-- TLS on a stream of the caller's, or of a proxy.
local function secure(stream, plan, times)
  local context, message, code = context_of(plan.tls)
  if not context then return fail(stream, message, code) end
  local name = type(plan.tls) == "table" and plan.tls.server_name or plan.host
  local ok
  ok, message, code = stream:starttls { context = context, server_name = name }
  if ok then ok, message, code = stream:handshake(left(times, times.connect)) end
  if not ok then return fail(stream, message, code) end
  return stream
end

local function join_host(host, port)
  return (host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(host, port)
end

local function open_stream(plan, times)
  local through = plan.proxy
  local stream, message, code
  local host, port = plan.host, plan.port
  if through then host, port = through.host, through.port end
  if plan.connect then
    stream, message, code = plan.connect(host, port)
  else
    stream, message, code = dial(host, port, times, plan.allow)
  end
  if not stream then return nil, message, code end
  local guard <close> = guard_of(stream)
  if through and through.scheme == "https" then
    stream, message, code = secure(stream, { host = through.host }, times)
  end
  if stream and through and through.scheme:find "^socks" then
    local ok
    ok, message, code = proxies.socks5(stream, through, plan.host, plan.port)
    if not ok then stream = nil end
  elseif stream and through and plan.scheme == "https" then
    stream, message, code = tunnel(stream, through, join_host(plan.host, plan.port), times)
  end
  if stream and plan.scheme == "https" then stream, message, code = secure(stream, plan, times) end
  if not stream then return nil, message, code end
  guard.stream = nil
  return stream
end

-- All of it under the time for connecting, also calls of the script's.
local function connect(plan, times)
  local stream, message, code = task.timeout(left(times, times.connect), open_stream, plan, times)
  if not stream and code == "EDEADLINE" then return nil, "timeout", "ETIMEDOUT" end
  return stream, message, code
end

-- What connections that serve the same requests have in common.
local function key_of(plan)
  local through = plan.proxy
  local by = through and (" %s %s %d %s %s"):format(through.scheme, through.host, through.port,
    through.user or "", through.password or "") or ""
  return plan.scheme .. " " .. plan.host .. " " .. plan.port .. " " .. number_of(plan.tls) .. " "
    .. number_of(plan.connect) .. " " .. number_of(plan.allow) .. by
end

local Attempt = { __close = function(self) if self.permit then self.permit:release() end end }

-- A connection for the plan, an idle one or a new one.
local function acquire(pool, plan, times, is_fresh)
  local key = key_of(plan)
  local attempt <close> = setmetatable({}, Attempt)
  local permit, message, code = pool:place(key, left(times, math_huge))
  if not permit then return nil, message, code end
  if permit ~= true then attempt.permit = permit end
  local conn = not is_fresh and pool:take(key) or nil
  if conn then
    conn.reused, pool.reused = true, pool.reused + 1
  else
    local stream
    stream, message, code = connect(plan, times)
    if not stream then return nil, message, code end
    conn = setmetatable({ stream = stream, x = core.new(stream), key = key, pool = pool },
      pools.Connection)
    pool.open, pool.made = pool.open + 1, pool.made + 1
  end
  conn.permit, attempt.permit = attempt.permit, nil
  return conn
end

-- ---- bodies of requests ----

local function is_stream(value)
  return type(value) == "userdata" and io_type(value) == nil and pcall(function() return value.read_some end)
end

-- A reader of what `read` gives.
local function file_reader(file)
  return function() return file:read(PIECE) end
end

local function list_of(body)
  local texts = {}
  for i, part in ipairs(body) do
    if type(part) ~= "string" and type(part) ~= "number" then
      error(("element %d of the body is a %s"):format(i, type(part)), 0)
    end
    texts[i] = part
  end
  return table_concat(texts)
end

-- {data=} or {open=, length=, can_replay=}; nil: there is none. And its content type.
local function read_body(opts)
  local body = opts.body
  if opts.json ~= nil then return { data = json.encode(opts.json), can_replay = true }, "application/json" end
  if opts.form then
    return { data = url.query(opts.form), can_replay = true }, "application/x-www-form-urlencoded"
  end
  if opts.multipart then
    local kind, length, open, can_replay = multipart.encode(opts.multipart)
    return { open = open, length = length, can_replay = can_replay }, kind
  end
  if body == nil then return nil end
  if type(body) == "string" or type(body) == "number" then return { data = tostring(body), can_replay = true } end
  if io_type and io_type(body) == "file" then
    local at = body:seek "cur"
    local size = at and body:seek "end"
    if at then body:seek("set", at) end
    return { length = size and size - at, can_replay = size ~= nil, open = function()
      if at then body:seek("set", at) end
      return file_reader(body)
    end }
  end
  if type(body) == "table" and getmetatable(body) == nil then
    return { data = list_of(body), can_replay = true }
  end
  if argument.is_callable(body) then return { open = function() return body end } end
  if is_stream(body) then
    return { open = function() return function()
      local piece, message, code = body:read_some(PIECE)
      if not piece and message then error({ message = message, code = code }, 0) end
      return piece
    end end }
  end
  error(("option 'body' must be a string, a list, a function, a file or a stream, not a %s"):format(type(body)), 0)
end

-- ---- a request ----

local function merged(own, given)
  local opts = {}
  for name, value in pairs(own) do opts[name] = value end
  for name, value in pairs(given) do opts[name] = value end
  return opts
end

local function read_url(text, base, query)
  if base then
    local joined, message, code = url.join(base, text)
    if not joined then return nil, message, code end
    text = joined
  end
  local u, message, code = url.parse(text)
  if not u then return nil, message, code end
  if not PORTS[(u.scheme or ""):lower()] or not u.host or u.host == "" then
    return nil, ("'%s' is no URL of http or https with a host"):format(tostring(text):gsub("//[^/@]*@", "//")), "EURL"
  end
  local parts = {
    scheme = u.scheme:lower(), host = u.host:lower(), port = u.port, path = u.path ~= "" and u.path or "/",
    query = u.query, user = u.user, password = u.password,
  }
  parts.has_port = parts.port ~= nil and parts.port ~= PORTS[parts.scheme]
  parts.port = parts.port or PORTS[parts.scheme]
  if parts.port == 0 then return nil, "a URL's port must not be 0", "EURL" end
  if query then
    local more = type(query) == "string" and query or url.query(query)
    if more ~= "" then parts.query = parts.query and parts.query ~= "" and parts.query .. "&" .. more or more end
  end
  local host = parts.host:find(":", 1, true) and "[" .. parts.host .. "]" or parts.host
  parts.authority = parts.has_port and host .. ":" .. parts.port or host
  parts.target = parts.query and parts.path .. "?" .. parts.query or parts.path
  parts.text = parts.scheme .. "://" .. parts.authority .. parts.target
  return parts
end

-- URLs that were read lately, since programs ask for the same ones again; at most 256.
local known_urls, known_count = {}, 0

-- The parts of a URL, which nobody changes; or nil, message, code.
local function parse_url(text, base, query)
  if base or query then return read_url(text, base, query) end
  if known_urls[text] then return known_urls[text] end
  local parts, message, code = read_url(text)
  if not parts then return nil, message, code end
  if #text > 1024 then return parts end
  if known_count >= 256 then known_urls, known_count = {}, 0 end
  known_urls[text], known_count = parts, known_count + 1
  return parts
end

local codings

-- The fields of one hop.
local function fields_for(request, parts, plan)
  local given, h = request.headers, new_headers()
  h.host = not request.is_redirected and given.host or parts.authority
  for name, value in pairs(given) do
    if name ~= "host" then h:add(name, value) end
  end
  if not h["user-agent"] then h["user-agent"] = "moonlet" end
  if not h.accept then h.accept = "*/*" end
  codings = codings or core.codings()
  if request.decode and codings ~= "" and not h["accept-encoding"] and not h.range then
    h["accept-encoding"] = codings
  end
  local auth = request.auth
  if auth and not h.authorization then
    if type(auth) == "string" then h.authorization = auth
    elseif auth.token then h.authorization = "Bearer " .. auth.token
    else h.authorization = basic(auth.user or auth[1], auth.password or auth[2]) end
  end
  if plan.is_plain_proxy and plan.proxy.user then
    h["proxy-authorization"] = basic(plan.proxy.user, plan.proxy.password)
  end
  if request.jar then
    local cookie = request.jar:header(parts.scheme, parts.host, parts.path)
    if cookie and not request.has_own_cookie then h.cookie = cookie end
  end
  return h
end

local function plan_for(request, parts)
  local plan = { scheme = parts.scheme, host = parts.host, port = parts.port, tls = request.tls,
    connect = request.connect, allow = request.allow }
  if request.proxy then
    local message, code
    plan.proxy, message, code = proxies.parse(request.proxy)
    if not plan.proxy then return nil, message, code end
  elseif request.proxy == nil and not request.connect then
    plan.proxy = proxies.from_environment(parts.scheme, parts.host, parts.port)
  end
  plan.is_plain_proxy = plan.proxy ~= nil and parts.scheme == "http" and plan.proxy.scheme:find "^http" ~= nil
  return plan
end

-- Sends the parts of a body; stops when the server has answered already. true; or nil, message, code.
local function send_parts(x, body, times)
  for piece in body.open() do
    if type(piece) ~= "string" then error("a reader function must return strings, not a " .. type(piece), 0) end
    if x:has_response() then return true end
    local ok, message, code = x:write(piece, left(times, times.idle))
    if not ok then
      if code == "EPROTO" then message = "the body is longer than its length" end
      return nil, message, code
    end
  end
  local ok, message, code = x:end_body(left(times, times.idle))
  if not ok and code == "EPROTO" then message = "the body is shorter than its length" end
  return ok, message, code
end

-- What the body is to exchange:send(), and whether parts follow.
local function body_for(body, method, expects)
  if not body then return (method == "POST" or method == "PUT" or method == "PATCH") and "" or nil, false end
  if body.data and not expects then return body.data, false end
  if body.data then return #body.data, true end
  return body.length or true, true
end

local function await_continue(x, times)
  local status, headers, reason, version, length = x:receive(left(times, CONTINUE), true)
  if not status and reason == "ETIMEDOUT" then return true end
  if status ~= 100 then return false, status, headers, reason, version, length end
  return true
end

-- One request and the head of its response on a connection: status, headers, reason, version,
-- length; or nil, message, code, whether a byte of an answer came, whether anything may have been sent.
local function exchange(conn, request, parts, plan, times)
  local x, body = conn.x, request.body
  local headers = fields_for(request, parts, plan)
  local expects = body and (headers.expect or ""):lower() == "100-continue"
  local kind, follows = body_for(body, request.method, expects)
  local target = plan.is_plain_proxy and parts.text or parts.target
  local ok, message, code, was_sent = x:send(request.method, target, headers, kind, left(times, times.idle))
  if not ok and (code ~= "EPIPE" and code ~= "ECONNRESET" or not was_sent) then
    return nil, message, code, false, was_sent
  end
  if ok and expects then
    local status, h, reason, version, length
    follows, status, h, reason, version, length = await_continue(x, times)
    if status then return status, h, reason, version, length end
    if not follows then return nil, h, reason, version, true end
  end
  if ok and follows then
    local source = body.data and { open = function()
      local data = body.data
      return function()
        local piece = data
        data = nil
        return piece
      end
    end } or body
    ok, message, code = send_parts(x, source, times)
    if not ok and code ~= "EPIPE" and code ~= "ECONNRESET" then return nil, message, code, false, true end
  end
  local status, h, reason, version, length = x:receive(left(times, times.head))
  if not status then
    -- The failure to send says more than that nothing came.
    if not ok and not version then h, reason = message, code end
    return nil, h, reason, version, true
  end
  return status, h, reason, version, length
end

-- ---- responses ----

--- What a server answered.
-- @object Reply
-- @tfield integer status
-- @tfield string reason may be empty
-- @tfield table headers
-- @tfield string version "1.0" or "1.1"
-- @tfield string url after redirects
-- @tfield boolean reused whether the connection had carried another request
-- @tfield ?string body nil of a stream
local Response = {}
Response.__index = Response
Response.__name = "http.reply"

function Response:__tostring() return ("http.response %d %s"):format(self.status, self.url) end

-- The connection goes back; whether it is good says the exchange.
local function finish(self, is_whole)
  local conn = self.conn
  if not conn then return end
  self.conn = nil
  self.trailer_fields = conn.x:trailers()
  conn:release(is_whole and conn.x:finish())
end

local function begin_content(self, request)
  local coding = self.headers["content-encoding"]
  if not request.decode or not coding or self.length == false then return true end
  coding = coding:match "^%s*(.-)%s*$"
  if coding:lower() == "identity" then return true end
  local ok = self.conn.x:decode(coding, request.max_body or math.maxinteger)
  if ok then
    self.headers["content-encoding"], self.headers["content-length"] = nil, nil
    self.length = nil
  end
  return true
end

local function read_piece(self, max)
  if self.is_closed then return nil, "closed", "CLOSED" end
  if self.failure then return nil, self.failure[1], self.failure[2] end
  if not self.conn then return nil end
  local piece, message, code = self.conn.x:read(max or PIECE, left(self.times, self.times.idle))
  if piece then return piece end
  if message then
    self.failure = { message, code }
    finish(self, false)
    return nil, message, code
  end
  finish(self, true)
  return nil
end

local function need_body(self)
  if self.body ~= nil and not self.rest then self.rest = self.body end
end

-- Reads until the buffer has what `find` looks for.
local function read_until(self, find, max)
  need_body(self)
  local rest = self.rest or ""
  while true do
    local stop, next_at = find(rest)
    if stop then
      self.rest = rest:sub(next_at)
      return rest:sub(1, stop)
    end
    if #rest > max then
      self.rest = rest
      return nil, "line too long", "EMSGSIZE"
    end
    local piece, message, code
    if self.body == nil then piece, message, code = read_piece(self) end
    if not piece then
      self.rest = rest
      if message then return nil, message, code end
      if rest == "" then return nil end
      self.rest = ""
      return rest
    end
    rest = rest .. piece
  end
end

local Failure = { __tostring = function(failure) return failure.message end, __name = "failure" }

local function raise(message, code)
  error(setmetatable({ message = message, code = code }, Failure), 0)
end

--- Decodes the body as JSON.
-- @function Reply:json
-- @return the value; or nil, message, code
function Response:json()
  local text, message, code = self.body, nil, nil
  if text == nil then text, message, code = self:read_all() end
  if not text then return nil, message, code end
  return json.decode(text)
end

--- Reads the whole body.
-- @function Reply:read_all
-- @tparam[opt] integer max bytes
-- @treturn string or nil, message, code
function Response:read_all(max)
  need_body(self)
  local parts, size = { self.rest or "" }, #(self.rest or "")
  self.rest = nil
  while self.body == nil do
    local piece, message, code = read_piece(self)
    if not piece then
      if message then return nil, message, code end
      break
    end
    size = size + #piece
    if max and size > max then
      finish(self, false)
      self.failure = { "the body is too large", "EMSGSIZE" }
      return nil, self.failure[1], self.failure[2]
    end
    parts[#parts + 1] = piece
  end
  if self.body ~= nil then self.rest = "" end
  return table_concat(parts)
end

--- Reads some of the body: a count of bytes (fewer only at the end), "l", "L" or "a".
-- @function Reply:read
-- @param[opt="l"] format
-- @treturn string or nil at the end; or nil, message, code
function Response:read(format)
  format = format or "l"
  if math_type(format) == "integer" then
    return read_until(self, function(rest)
      if #rest >= format then return format, format + 1 end
    end, math_huge)
  end
  format = tostring(format):gsub("^%*", "")
  if format == "a" then return self:read_all() end
  argument.check(format == "l" or format == "L", 1, "read", "invalid format")
  local line, message, code = read_until(self, function(rest)
    local at = rest:find("\n", 1, true)
    if at then return at, at + 1 end
  end, 64 * 1024)
  if line and format == "l" then line = line:gsub("\r?\n$", "") end
  return line, message, code
end

--- Iterates over the body as it comes. Raises if it ends short.
-- @function Reply:chunks
-- @treturn function
function Response:chunks()
  return function()
    if self.rest and self.rest ~= "" then
      local rest = self.rest
      self.rest = ""
      return rest
    end
    if self.body ~= nil and not self.rest then
      self.rest = ""
      return self.body ~= "" and self.body or nil
    end
    if self.body ~= nil then return nil end
    local piece, message, code = read_piece(self)
    if piece then return piece end
    if message and code ~= "CLOSED" then raise(message, code) end
  end
end

--- Iterates over the lines of the body.
-- @function Reply:lines
-- @treturn function
function Response:lines()
  return function()
    local line, message, code = self:read "l"
    if line then return line end
    if message and code ~= "CLOSED" then raise(message, code) end
  end
end

--- The fields behind the body, once it has been read.
-- @function Reply:trailers
-- @treturn ?table nil: there are none
function Response:trailers() return self.trailer_fields end

--- Iterates over server-sent events: tables of data, event, id, retry.
-- @function Reply:events
-- @treturn function
function Response:events()
  local id, is_first = nil, true
  return function()
    local data, kind, retry = nil, nil, nil
    while true do
      local line, message, code = self:read "l"
      if not line then
        if message and code ~= "CLOSED" then raise(message, code) end
        return nil
      end
      if is_first then line, is_first = line:gsub("^\xef\xbb\xbf", ""), false end
      if line == "" then
        if data then return { data = data, event = kind or "message", id = id, retry = retry } end
        kind = nil
      else
        local name, value = line:match "^([^:]*):? ?(.*)$"
        if name == "data" then data = data and data .. "\n" .. value or value
        elseif name == "event" then kind = value
        elseif name == "id" and not value:find "%z" then id = value
        elseif name == "retry" and value:find "^%d+$" then retry = tonumber(value) end
      end
    end
  end
end

--- Ends it: the connection goes back to the pool if the body has been read, else it is closed.
-- @function Reply:close
function Response:close()
  if self.conn then self.is_closed = true end
  finish(self, false)
end
Response.__close = Response.close

-- Writes what `chunks` gives to path, by way of a file beside it.
local function save_chunks(path, mode, temporary, chunks)
  local file, message, number = io_open(temporary, mode)
  if not file then return nil, message, number end
  local guard <close> = setmetatable({}, { __close = function() file:close() end })
  local size = 0
  for piece in chunks do
    local ok, problem = file:write(piece)
    if not ok then return nil, problem, "EIO" end
    size = size + #piece
  end
  local _ = guard
  if not file:flush() then return nil, "cannot write " .. path, "EIO" end
  return size
end

--- Saves the body to a file, which appears when it is whole.
-- @function Reply:save
-- @tparam string path
-- @treturn integer bytes; or nil, message, code
function Response:save(path)
  local temporary = path .. ".part"
  local ok, size, message, code = pcall(save_chunks, path, "wb", temporary, self:chunks())
  if ok and size then
    local done, problem = os_rename(temporary, path)
    if done then return size end
    size, message, code = nil, problem, "EIO"
  end
  os_remove(temporary)
  if not ok then
    if type(size) == "table" and rawget(size, "code") then return nil, size.message, size.code end
    error(size, 0)
  end
  return size, message, code
end

-- ---- redirects and retries ----

local function drop_content(request)
  request.body = nil
  for _, name in ipairs { "content-type", "content-encoding", "content-language", "content-location", "expect" } do
    request.headers[name] = nil
  end
end

-- Prepares the request that a redirect asks for. Its URL; or nil, message, code.
local function follow(request, parts, status, location)
  local to, message, code = parse_url(location, parts.text)
  if not to then return nil, message, code end
  if parts.scheme == "https" and to.scheme ~= "https" and not request.downgrade then
    return nil, "a redirect leads from https to http", "EPROTO"
  end
  local is_rewritten = status == 303 and request.method ~= "HEAD" or
    (status == 301 or status == 302) and request.method == "POST"
  if is_rewritten then
    request.method = "GET"
    drop_content(request)
  elseif request.body and not request.body.can_replay then
    return nil, "a redirect asks for the body again, which can be read only once", "EPROTO"
  end
  if to.scheme ~= parts.scheme or to.host ~= parts.host or to.port ~= parts.port then
    request.auth = nil
    request.headers.authorization, request.headers.cookie = nil, nil
    request.headers["proxy-authorization"] = nil
    request.has_own_cookie = nil
  end
  request.is_redirected = true
  return to
end

-- The head of one hop, on a connection: the response, still without its content.
local function hop(client, request, parts, times, is_fresh)
  local plan, message, code = plan_for(request, parts)
  if not plan then return nil, message, code end
  local conn
  conn, message, code = acquire(client.pool, plan, times, is_fresh)
  if not conn then return nil, message, code, { unsent = true } end
  local guard <close> = setmetatable({ conn = conn }, { __close = function(g)
    if g.conn then g.conn:release(false) end
  end })
  local reused = conn.reused or false
  local status, headers, reason, version, length = exchange(conn, request, parts, plan, times)
  if not status then
    return nil, headers, reason, { reused = reused, answered = version, unsent = length == false }
  end
  if request.jar then
    for _, line in ipairs(headers:all "set-cookie") do
      request.jar:set(line, parts.scheme, parts.host, parts.path)
    end
  end
  local response = setmetatable({
    status = status, headers = headers, reason = reason, version = version == 11 and "1.1" or "1.0",
    url = parts.text, reused = reused, conn = conn, times = times, length = length,
  }, Response)
  guard.conn = nil
  return response
end

-- Whether the request may be sent again without doing its work twice.
local function can_retry(request, state)
  if request.body and not request.body.can_replay then return false end
  return state.unsent or IDEMPOTENT[request.method]
end

local function pause(times, n, response)
  local after = response and tonumber(response.headers["retry-after"] or "")
  local seconds = after or 0.1 * 2 ^ (n - 1)
  if now() + seconds >= times.at then return false end
  task.sleep(seconds)
  return true
end

local function hop_with_retries(client, request, parts, times)
  local tries, is_fresh = 0, false
  while true do
    local response, message, code, state = hop(client, request, parts, times, is_fresh)
    state = state or {}
    if response then
      if not RETRIED[response.status] or tries >= request.retries
        or not can_retry(request, {}) then return response end
      tries = tries + 1
      if not pause(times, tries, response) then return response end
      response:close()
    elseif state.reused and not state.answered and not is_fresh and PASSING[code] and code ~= "ETIMEDOUT"
      and can_retry(request, state) then
      is_fresh = true -- it had died before; that is no try
    elseif tries < request.retries and PASSING[code] and can_retry(request, state) then
      tries = tries + 1
      if not pause(times, tries) then return nil, message, code end
    else
      return nil, message, code
    end
  end
end

-- A redirect's body is read if it is short, so that its connection serves again.
local function discard(response)
  local length = response.length
  if length and length > PIECE then return response:close() end
  response.conn.x:read_all(PIECE, 1, left(response.times, 1))
  finish(response, true)
end

local function perform(client, request, parts, times)
  local redirects = 0
  while true do
    local response, message, code = hop_with_retries(client, request, parts, times)
    if not response then return nil, message, code end
    local location = REDIRECTED[response.status] and response.headers.location
    if not location or request.redirects == 0 then
      response.conn.request = nil
      begin_content(response, request)
      return response
    end
    redirects = redirects + 1
    local guard <close> = response
    if redirects > request.redirects then
      return nil, ("more than %d redirects"):format(request.redirects), "EPROTO"
    end
    discard(guard)
    parts, message, code = follow(request, parts, response.status, location)
    if not parts then return nil, message, code end
  end
end

local function prepare(client, opts, name)
  local all = merged(client.opts, opts)
  local headers = new_headers(client.headers)
  if opts.headers then
    local given = new_headers(opts.headers)
    for field in pairs(given) do headers[field] = given:all(field) end
  end
  local body, kind = read_body(opts)
  if kind and not headers["content-type"] then headers["content-type"] = kind end
  local redirects = all.redirects
  if redirects == nil or redirects == true then redirects = REDIRECTS elseif redirects == false then redirects = 0 end
  argument.check(math_type(redirects) == "integer", 1, name, "option 'redirects' must be an integer")
  return {
    method = all.method or "GET", headers = headers, body = body, redirects = redirects,
    retries = all.retries or 0, auth = all.auth, tls = all.tls, proxy = all.proxy, connect = all.connect,
    allow = all.allow, decode = all.decode ~= false, max_body = all.max_body, check = all.check,
    downgrade = all.downgrade, jar = client.jar, has_own_cookie = headers.cookie ~= nil,
  }, all
end

local function start(client, opts, name, is_streamed)
  argument.options(opts, 1, name, REQUEST)
  if client.is_closed then return nil, "closed", "CLOSED" end
  argument.check(opts.url ~= nil, 1, name, "option 'url' is missing")
  local ok, request, all = pcall(prepare, client, opts, name)
  if not ok then error(request, 4) end
  local parts, message, code = parse_url(tostring(opts.url), client.opts.base, opts.query)
  if not parts then return nil, message, code end
  if parts.user and not request.auth then
    request.auth = { user = url.decode(parts.user), password = url.decode(parts.password or "") }
  end
  if not is_streamed then request.max_body = request.max_body or MAX_BODY end
  local good, times = pcall(read_times, all.timeout, is_streamed)
  if not good then error(("bad argument #1 to '%s' (%s)"):format(name, times), 4) end
  local response
  response, message, code = perform(client, request, parts, times)
  if not response then
    if code == "ETIMEDOUT" and now() >= times.at then message, code = "deadline passed", "EDEADLINE" end
    return nil, message, code
  end
  return response, request, times
end

local function read_body_of(response, request, times)
  local conn <close> = response
  local body, message, code = conn.conn.x:read_all(request.max_body, left(times, times.idle), left(times, math_huge))
  if not body then
    if code == "ETIMEDOUT" and now() >= times.at then message, code = "deadline passed", "EDEADLINE" end
    return nil, message, code
  end
  finish(response, true)
  response.body = body
  return response
end

local function checked(response, request)
  if request.check and response.status >= 400 then
    return nil, ("%s answered %d %s"):format(response.url, response.status, response.reason), "ESTATUS", response
  end
  return response
end

local function run(client, opts, name)
  local response, request, times = start(client, opts, name, false)
  if not response then return nil, request, times end
  local whole, message, code = read_body_of(response, request, times)
  if not whole then return nil, message, code end
  return checked(whole, request)
end

local function run_stream(client, opts, name)
  local response, request, times = start(client, opts, name, true)
  if not response then return nil, request, times end
  if request.check and response.status >= 400 then
    local whole, message, code = read_body_of(response, { max_body = MAX_BODY }, times)
    if not whole then return nil, message, code end
    return checked(whole, request)
  end
  return response
end

-- ---- downloads ----

local function validator_of(headers)
  local etag = headers.etag
  if etag and not etag:find "^W/" then return etag end
  return headers["last-modified"]
end

local function read_file(path)
  local file = io_open(path, "rb")
  if not file then return nil end
  local text <const> = file:read "a"
  file:close()
  return text
end

local function size_of(path)
  local file = io_open(path, "rb")
  if not file then return 0 end
  local size = file:seek "end"
  file:close()
  return size or 0
end

-- `path.part` has what came so far, `path.part.tag` the validator that it belongs to.
local function download(client, opts, path)
  local part, tag = path .. ".part", path .. ".part.tag"
  local progress, resume = opts.progress, opts.resume
  local request = merged(opts, { decode = false })
  request.progress, request.resume = nil, nil
  local have, known = size_of(part), read_file(tag)
  if not resume or not known or have == 0 then have = 0 end
  if have > 0 then
    local headers = new_headers(opts.headers)
    headers.range, headers["if-range"] = ("bytes=%d-"):format(have), known
    request.headers = headers
  end
  local response <close>, message, code, failed = run_stream(client, request, "download")
  if not response then return nil, message, code, failed end
  if response.status ~= 200 and response.status ~= 206 then
    return nil, ("%s answered %d"):format(response.url, response.status), "ESTATUS", response
  end
  local first, total = (response.headers["content-range"] or ""):match "^bytes (%d+)%-%d+/(%d+)$"
  if response.status == 206 and tonumber(first) ~= have then
    return nil, "the server sent another range than it was asked for", "EPROTO"
  end
  if response.status == 200 then have, total = 0, response.length or nil end
  total = tonumber(total)
  local validator = validator_of(response.headers)
  os_remove(tag)
  if resume and validator then
    local file = io_open(tag, "wb")
    if file then
      file:write(validator)
      file:close()
    end
  end
  local sum = have
  local next_chunk = response:chunks()
  local function chunks()
    local piece = next_chunk()
    if piece then
      sum = sum + #piece
      if progress then progress(sum, total) end
    end
    return piece
  end
  local ok, size, problem, number = task.pcall(save_chunks, path, have > 0 and "ab" or "wb", part, chunks)
  if ok and size and (not total or sum == total) then
    os_remove(tag)
    local done, why = os_rename(part, path)
    if not done then return nil, why, "EIO" end
    return response
  end
  if not (resume and validator) then os_remove(part) end
  if not ok then
    if type(size) == "table" and rawget(size, "code") then return nil, size.message, size.code end
    error(size, 0)
  end
  if not size then return nil, problem, number end
  return nil, "the body ended short", "EEOF"
end

-- ---- the functions ----

--- A client: its own pool, headers and cookies. The functions of moonlet.http are its methods, too.
-- @object Client
local Client = {}
Client.__index = Client
Client.__name = "http.client"

function Client:__tostring()
  return ("http.client (%s, %d open)"):format(self.is_closed and "closed" or "open", self.pool.open)
end

local function new_client(opts)
  local own = merged({}, opts)
  own.headers, own.cookies, own.pool, own.version = nil, nil, nil, nil
  local jar = opts.cookies
  if jar == true then jar = cookies.new() end
  return setmetatable({ opts = own, headers = new_headers(opts.headers), jar = jar or nil,
    pool = pools.new(opts.pool) }, Client)
end

local shared

local function with_url(where, opts, name, method)
  if opts ~= nil then argument.table(opts, 2, name) end
  local all = merged(opts or {}, { url = where })
  if method then all.method = method end
  return all
end

local function is_url(value) return type(value) == "string" or type(value) == "userdata" or type(value) == "table" end

local function add_call(name, method)
  Client[name] = function(self, where, opts)
    argument.self(self, Client, name)
    argument.check(is_url(where), 1, name, "URL expected, got " .. (where == nil and "no value" or type(where)))
    return run(self, with_url(where, opts, name, method), name)
  end
end

--- Sends a GET request and reads the whole response. May wait.
-- @function Client:get
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a HEAD request and reads the whole response. May wait.
-- @function Client:head
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a POST request and reads the whole response. May wait.
-- @function Client:post
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a PUT request and reads the whole response. May wait.
-- @function Client:put
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a PATCH request and reads the whole response. May wait.
-- @function Client:patch
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a DELETE request and reads the whole response. May wait.
-- @function Client:delete
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a request and reads the whole response. May wait.
-- @function Client:request
-- @tparam string|table where URL, or the options with a field `url`
-- @tparam[opt] table opts method, headers, query, body, json, form, multipart, redirects, retries, auth,
-- tls, proxy, max_body, timeout, check, decode, connect, allow, downgrade
-- @treturn Reply or nil, message, code

--- Sends a request and reads the head of the response; the body is the caller's to read. May wait.
-- @function Client:stream
-- @tparam string|table where URL, or the options with a field `url`
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code

--- Fetches a URL into a file, which appears when it is whole. May wait.
-- @function Client:download
-- @tparam string where URL
-- @tparam string path
-- @tparam[opt] table opts those of request(), and resume, progress(bytes, total)
-- @treturn Reply or nil, message, code

for _, name in ipairs { "get", "head", "post", "put", "patch", "delete" } do add_call(name, name:upper()) end

-- request(url, opts) and request(opts) alike.
local function request_options(where, opts, name)
  if type(where) == "table" and opts == nil and getmetatable(where) == nil then return where end
  argument.check(is_url(where), 1, name, "URL or table expected")
  return with_url(where, opts, name)
end

function Client:request(where, opts)
  argument.self(self, Client, "request")
  return run(self, request_options(where, opts, "request"), "request")
end

function Client:stream(where, opts)
  argument.self(self, Client, "stream")
  return run_stream(self, request_options(where, opts, "stream"), "stream")
end

function Client:download(where, path, opts)
  argument.self(self, Client, "download")
  argument.check(type(path) == "string", 2, "download", "path expected")
  return download(self, with_url(where, opts, "download"), path)
end

--- Figures of the pool.
-- @treturn table open, idle: connections now; made, reused: how often so far
function Client:stats()
  argument.self(self, Client, "stats")
  local pool = self.pool
  return { open = pool.open, idle = pool.count, made = pool.made, reused = pool.reused }
end

--- Closes the idle connections; those in use when their responses have been read.
function Client:close()
  argument.self(self, Client, "close")
  self.is_closed = true
  self.pool:close()
end
Client.__close = Client.close

--- Sends a GET request and reads the whole response. May wait.
-- @function get
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a HEAD request and reads the whole response. May wait.
-- @function head
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a POST request and reads the whole response. May wait.
-- @function post
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a PUT request and reads the whole response. May wait.
-- @function put
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a PATCH request and reads the whole response. May wait.
-- @function patch
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a DELETE request and reads the whole response. May wait.
-- @function delete
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a request and reads the whole response. May wait.
-- @function request
-- @tparam string|table where URL, or the options with a field `url`
-- @tparam[opt] table opts method, headers, query, body, json, form, multipart, redirects, retries, auth,
-- tls, proxy, max_body, timeout, check, decode, connect, allow, downgrade
-- @treturn Reply or nil, message, code

--- Sends a request and reads the head of the response; the body is the caller's to read. May wait.
-- @function stream
-- @tparam string|table where URL, or the options with a field `url`
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code

--- Fetches a URL into a file, which appears when it is whole. May wait.
-- @function download
-- @tparam string where URL
-- @tparam string path
-- @tparam[opt] table opts those of request(), and resume, progress(bytes, total)
-- @treturn Reply or nil, message, code

for _, name in ipairs { "get", "head", "post", "put", "patch", "delete", "request", "stream" } do
  M[name] = function(where, opts)
    shared = shared or new_client {}
    return Client[name](shared, where, opts)
  end
end

function M.download(where, path, opts)
  shared = shared or new_client {}
  return Client.download(shared, where, path, opts)
end

--- Makes a client.
-- @tparam[opt] table opts base, headers, cookies (true, or a jar), pool {max=, per_host=, idle=}, and
-- what a request takes
-- @treturn Client
function M.client(opts)
  if opts ~= nil then argument.options(opts, 1, "client", CLIENT) end
  return new_client(opts or {})
end


return M
