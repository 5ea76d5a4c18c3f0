--- Answers: what of them is written in Lua.
-- @submodule moonlet.http

local error, ipairs, pairs, setmetatable = error, ipairs, pairs, setmetatable
local tostring, type = tostring, type
local abs, math_type = math.abs, math.type
local concat = table.concat

local argument = require "moonlet.argument"
local core = require "moonlet.http.server.core"
local json = require "moonlet.json"
local sync = require "moonlet.sync"
local task = require "moonlet.task"

local Response = core.response_methods

-- ---- redirects ----

local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

--- Makes the answer send the peer elsewhere, when the handler has returned. Never waits.
-- @function Response:redirect
-- @tparam string url absolute or relative; bytes that no address has are encoded
-- @tparam[opt=302] integer status 301, 302, 303, 307 or 308
-- @treturn boolean true; or nil, message, code
function Response:redirect(url, status)
  argument.check(argument.is_text(url), 1, "redirect", "string expected")
  argument.check(status == nil or REDIRECTS[status], 2, "redirect",
    "status must be 301, 302, 303, 307 or 308")
  local req, message, code = core.request(self)
  if not req then return nil, message, code end
  local text = tostring(url)
  argument.check(not text:find "[%z\r\n]", 1, "redirect", "the URL has a line's end or zero byte")
  local encoded = text:gsub('[%c "<>\\^`{|}\x7f-\xff]', function(byte)
    return ("%%%02X"):format(byte:byte())
  end)
  self.headers.location = encoded
  self.status = status or 302
  return self:send ""
end

-- ---- cookies ----

local COOKIE = {
  path = true, domain = true, max_age = true, expires = true, secure = true, http_only = true,
  same_site = true, partitioned = true,
}

local SAME_SITE = { lax = "Lax", strict = "Strict", none = "None" }

-- The fault in the arguments of cookie(); nil: none.
local function find_problem(name, value, opts)
  if type(name) ~= "string" or not name:find "^[%w!#$%%&'*+.^_`|~-]+$" then
    return 1, "the name of a cookie is a token"
  end
  if value ~= nil and type(value) ~= "string" and type(value) ~= "number" then
    return 2, "string expected, got " .. type(value)
  end
  if tostring(value or ""):find "[^ !#-:<-Z%[%]^-~]" then
    return 2, "the value has a byte that no cookie has: encode it"
  end
  for option in pairs(opts) do
    if not COOKIE[option] then return 3, "unknown option '" .. tostring(option) .. "'" end
  end
  for _, option in ipairs { "path", "domain" } do
    local text = opts[option]
    if text ~= nil and (type(text) ~= "string" or text:find "[%c;\x7f-\xff]") then
      return 3, "option '" .. option .. "' must be a string without ';' and control characters"
    end
  end
  for _, option in ipairs { "max_age", "expires" } do
    local number = opts[option]
    if number ~= nil and (not math_type(number) or number ~= number or abs(number) > 1e15) then
      return 3, "option '" .. option .. "' must be a number of seconds"
    end
  end
  local same_site = opts.same_site
  if same_site and not (type(same_site) == "string" and SAME_SITE[same_site:lower()]) then
    return 3, 'option \'same_site\' must be "Strict", "Lax", "None" or false'
  end
end

-- The fault for which browsers refuse a cookie; nil: none.
local function find_refusal(name, opts, is_secure)
  local lower, same_site = name:lower(), opts.same_site or "Lax"
  if not is_secure and same_site:lower() == "none" then
    return 3, 'browsers take same_site="None" only if the cookie is secure'
  end
  if not is_secure and opts.partitioned then
    return 3, "browsers take partitioned cookies only if they are secure"
  end
  if not is_secure and (lower:find "^__secure%-" or lower:find "^__host%-") then
    return 1, "a cookie of that name must be secure"
  end
  if lower:find "^__host%-" and (opts.domain or (opts.path or "/") ~= "/") then
    return 1, 'a cookie of that name has the path "/" and no domain'
  end
end

local function seconds(number) return ("%d"):format(number // 1 | 0) end

local function format_cookie(name, value, opts, is_secure)
  local text = tostring(value or "")
  if text:find "[ ,]" then text = '"' .. text .. '"' end
  local parts = { name .. "=" .. text, "Path=" .. (opts.path or "/") }
  local function add(part) parts[#parts + 1] = part end
  if opts.domain then add("Domain=" .. opts.domain) end
  local max_age, expires = opts.max_age, opts.expires
  if value == nil then max_age, expires = 0, 0 end
  if max_age then add("Max-Age=" .. seconds(max_age)) end
  if expires then add("Expires=" .. core.date(expires // 1 | 0)) end
  if is_secure then add "Secure" end
  if opts.http_only ~= false then add "HttpOnly" end
  local same_site = opts.same_site
  if same_site ~= false then add("SameSite=" .. SAME_SITE[(same_site or "Lax"):lower()]) end
  if opts.partitioned then add "Partitioned" end
  return concat(parts, "; ")
end

--- Sets a cookie at the peer. Raises for what browsers would refuse, or read as something else.
-- Never waits.
-- @function Response:cookie
-- @tparam string name
-- @tparam ?string value nil: the peer forgets the cookie
-- @tparam[opt] table opts
-- @tparam[opt="/"] string opts.path
-- @tparam[opt] string opts.domain
-- @tparam[opt] number opts.max_age seconds; neither this nor `expires`: until the browser ends
-- @tparam[opt] number opts.expires seconds since 1970
-- @tparam[opt] boolean opts.secure sent over TLS only; true by default where this request came so
-- @tparam[opt=true] boolean opts.http_only scripts of pages do not see it
-- @param[opt="Lax"] opts.same_site "Strict", "Lax", "None"; false: the browser's default
-- @tparam[opt=false] boolean opts.partitioned
-- @treturn boolean true; or nil, message, code
function Response:cookie(name, value, opts)
  opts = opts or {}
  argument.table(opts, 3, "cookie")
  local req, message, code = core.request(self)
  if not req then return nil, message, code end
  local is_secure = opts.secure
  local position, problem = find_problem(name, value, opts)
  if not position then
    if is_secure == nil then is_secure = req.scheme == "https" end
    position, problem = find_refusal(name, opts, is_secure)
  end
  if position then
    error(("bad argument #%d to 'cookie' (%s)"):format(position, problem), 2)
  end
  if self:sent() then error("the head of the answer has been sent", 2) end
  self.headers:add("set-cookie", format_cookie(name, value, opts, is_secure))
  return true
end

-- ---- server-sent events ----

--- A stream of events for a browser's EventSource; of res:events().
-- @object Events

local Events = { __name = "http.events" }
Events.__index = Events
Events.__tostring = function() return "http.events" end

-- Seconds between comments, which keep proxies from taking the connection for dead.
local HEARTBEAT = 15

local function one_line(value, name)
  local text = tostring(value)
  if text:find "[%z\r\n]" then
    error(("bad argument #1 to 'send' (field '%s' has a line's end or zero byte)"):format(name), 4)
  end
  return text
end

-- The lines of one event.
local function format_event(event)
  local lines = {}
  for name in pairs(event) do
    if name ~= "data" and name ~= "event" and name ~= "id" and name ~= "retry" then
      error(("bad argument #1 to 'send' (unknown field '%s')"):format(tostring(name)), 4)
    end
  end
  if event.event ~= nil then lines[#lines + 1] = "event: " .. one_line(event.event, "event") end
  if event.id ~= nil then lines[#lines + 1] = "id: " .. one_line(event.id, "id") end
  if event.retry ~= nil then
    if type(event.retry) ~= "number" or event.retry < 0 then
      error("bad argument #1 to 'send' (field 'retry' must be a number of seconds)", 4)
    end
    lines[#lines + 1] = ("retry: %d"):format(event.retry * 1000 // 1 | 0)
  end
  if event.data ~= nil then
    local data = type(event.data) == "table" and json.encode(event.data) or tostring(event.data)
    data = data:gsub("\r\n?", "\n") .. "\n"
    for line in data:gmatch "([^\n]*)\n" do lines[#lines + 1] = "data: " .. line end
  end
  if not lines[1] then error("bad argument #1 to 'send' (an event without fields)", 4) end
  lines[#lines + 1] = "\n"
  return concat(lines, "\n")
end

local function write(self, text)
  local guard <close> = self.mutex:lock() -- luacheck: ignore 211
  if self.is_closed then return nil, "the events have ended", "CLOSED" end
  self.is_fresh = true
  local ok, message, code = self.response:write(text)
  if not ok then return nil, message, code end
  return self.response:flush()
end

local function send(self, event)
  if type(event) ~= "table" then event = { data = event } end
  return write(self, format_event(event))
end

--- Sends an event. Any number of tasks may. May wait.
-- @function Events:send
-- @param event a string: the data; or a table of the fields below
-- @param[opt] event.data text of any number of lines; a table is sent as JSON
-- @tparam[opt] string event.event its type; "message" by default
-- @tparam[opt] string event.id which the browser tells as last-event-id when it connects again
-- @tparam[opt] number event.retry seconds that the browser waits before it does
-- @treturn boolean true; or nil, message, code: the peer has left
function Events:send(event)
  argument.self(self, Events, "send")
  argument.check(event ~= nil, 1, "send", "string or table expected")
  return send(self, event)
end

--- Ends the events; the handler may go on. Idempotent, never waits.
-- @function Events:close
function Events:close()
  argument.self(self, Events, "close")
  self.is_closed = true
  if self.beating then self.beating:cancel() end
end

Events.__close = Events.close

-- A comment whenever nothing else was sent for a while. A peer that has left is noticed by it.
local function beat(self, period)
  while not self.is_closed do
    self.is_fresh = false
    task.sleep(period)
    if not self.is_fresh and not write(self, ":\n\n") then return end
  end
end

--- Begins an answer that is a stream of server-sent events, and sends its head. It ends with the
-- handler, or when the peer leaves, which cancels the handler. Comments keep the connection alive
-- while there are no events. May wait.
--
--     local events = res:events()
--     for price in prices:values() do events:send { event = "price", data = price } end
--
-- @function Response:events
-- @tparam[opt] table opts
-- @param[opt=15] opts.heartbeat seconds between comments; false: none
-- @treturn Events or nil, message, code
function Response:events(opts)
  opts = opts or {}
  argument.options(opts, 1, "events", { heartbeat = true })
  local period = opts.heartbeat
  if period == nil then period = HEARTBEAT end
  local is_period = period == false or (math_type(period) and period > 0)
  argument.check(is_period, 1, "events", "option 'heartbeat' must be a number of seconds, or false")
  local req, message, code = core.request(self)
  if not req then return nil, message, code end
  if self:sent() then error("the head of the answer has been sent", 2) end
  local headers = self.headers
  headers["content-type"] = "text/event-stream"
  if headers["cache-control"] == nil then headers["cache-control"] = "no-cache" end
  local ok
  ok, message, code = self:flush()
  if not ok then return nil, message, code end
  local events = setmetatable({ response = self, mutex = sync.mutex() }, Events)
  if period and req.method ~= "HEAD" then
    local how = { name = "heartbeat", daemon = true, quiet = true }
    events.beating = task.spawn(how, beat, events, period)
  end
  core.hold(self, events)
  return events
end

return {}
