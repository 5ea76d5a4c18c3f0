--- How a request of the HTTP client comes to a connection: one that it shares with others, an idle
-- one of the pool, or a new one. For moonlet's own modules.
-- @module moonlet.http.client.connection

local math_huge, setmetatable = math.huge, setmetatable

local connect = require "moonlet.http.client.connect"
local core = require "moonlet.http.client.core"
local deadline = require "moonlet.http.client.deadline"
local http2 = require "moonlet.http.client.http2"
local pools = require "moonlet.http.pool"

local left = deadline.left

local connection = {}

local function reuse(pool, conn)
  conn.reused, pool.reused = true, pool.reused + 1
  return conn
end

local function new_http1(pool, stream, key)
  local conn = pools.connection(stream, core.new(stream), key)
  conn.pool = pool
  pool.open, pool.made = pool.open + 1, pool.made + 1
  return conn
end

-- Whether the peer of a new stream speaks HTTP/2.
local function speaks_http2(plan, stream)
  if plan.scheme ~= "https" then return plan.version == "2" end
  return stream:tls_info().alpn == "h2"
end

-- What is given up if a connection does not come about: a place, the task to find out the version.
local Attempt = { __close = function(self)
  local origin = self.origin
  if self.stream then self.stream:close() end
  if self.dial then origin:end_dial(self.dial, self.failure) end
  if self.has_place then origin:leave() end
end }

-- Its fields are there from the start: setting one of them later takes no memory.
local function new_attempt(origin)
  return setmetatable({
    origin = origin, stream = false, dial = false, failure = false, has_place = false,
  }, Attempt)
end

-- Over a stream that was just made: one of HTTP/2 or of HTTP/1.
local function take_up(pool, plan, attempt, key)
  local origin, stream = attempt.origin, attempt.stream
  if plan.may_share and speaks_http2(plan, stream) then
    local shared, message, code = http2.open(stream, pool, origin, key)
    if not shared then return nil, message, code end
    attempt.stream, attempt.has_place = false, false
    return shared:carry()
  end
  if plan.version == "2" and plan.may_share then
    return nil, "the server does not speak HTTP/2", "EPROTO"
  end
  origin.is_http1 = true
  local conn = new_http1(pool, stream, key)
  conn.origin = origin
  return conn
end

-- A new connection at a place of the origin's.
local function make(pool, plan, times, origin, key)
  local attempt <close> = new_attempt(origin)
  origin:enter()
  attempt.has_place = true
  if plan.may_share and not origin.is_http1 then attempt.dial = origin:begin_dial() end
  origin:wake()
  local stream, message, code = connect.open(plan, times)
  local conn
  if stream then
    attempt.stream = stream
    conn, message, code = take_up(pool, plan, attempt, key)
  end
  if not conn then
    -- Its own time is no reason why others should fail.
    if code ~= "ETIMEDOUT" then attempt.failure = { message, code } end
    return nil, message, code
  end
  attempt.stream, attempt.has_place = false, false
  return conn
end

local function take_idle(pool, origin, key)
  local conn = pool:take(key)
  if not conn then return nil end
  conn.origin = origin
  origin:enter()
  return reuse(pool, conn)
end

local function acquire(pool, plan, times, is_fresh, origin, key)
  local has_waited = false
  while true do
    if has_waited or not origin.waiting[1] then
      local shared = origin:room()
      if shared then
        local conn = shared:carry()
        origin:wake()
        return conn
      end
      if origin:has_place() then
        local conn = not is_fresh and take_idle(pool, origin, key)
        if not conn then return make(pool, plan, times, origin, key) end
        origin:wake()
        return conn
      end
    end
    local seconds = left(times, origin.dial and times.connect or math_huge)
    local ok, message, code = origin:wait(seconds, has_waited)
    if not ok then return nil, message, code end
    has_waited = true
  end
end

local User = { __close = function(user)
  local origin = user.origin
  if not origin then return end
  origin.users = origin.users - 1
  origin:end_if_over()
end }

--- A connection for the plan; or nil, message, code. is_fresh: not an idle one of HTTP/1. May wait.
function connection.acquire(pool, plan, times, is_fresh)
  local key = plan.key
  if not plan.may_share and not pool.limit then
    local conn = not is_fresh and pool:take(key)
    if conn then return reuse(pool, conn) end
    local stream, message, code = connect.open(plan, times)
    if not stream then return nil, message, code end
    return new_http1(pool, stream, key)
  end
  local user <close> = setmetatable({ origin = false }, User)
  local origin = pool:origin(key)
  origin.users = origin.users + 1
  user.origin = origin
  return acquire(pool, plan, times, is_fresh, origin, key)
end

return connection
