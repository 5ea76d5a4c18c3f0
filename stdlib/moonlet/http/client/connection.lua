--- How a request of the HTTP client comes to a connection: an idle one of the pool, or a new one.
-- For moonlet's own modules.
-- @module moonlet.http.client.connection

local math_huge, setmetatable = math.huge, setmetatable

local connect = require "moonlet.http.client.connect"
local core = require "moonlet.http.client.core"
local deadline = require "moonlet.http.client.deadline"
local pools = require "moonlet.http.pool"

local left = deadline.left

local connection = {}

local Attempt = { __close = function(self) if self.permit then self.permit:release() end end }

local function make(pool, plan, times, key)
  local stream, message, code = connect.open(plan, times)
  if not stream then return nil, message, code end
  local conn = { stream = stream, x = core.new(stream), key = key, pool = pool }
  pool.open, pool.made = pool.open + 1, pool.made + 1
  return setmetatable(conn, pools.Connection)
end

--- A connection for the plan; or nil, message, code. is_fresh: not an idle one. May wait.
function connection.acquire(pool, plan, times, is_fresh)
  local key = connect.key(plan)
  local attempt <close> = setmetatable({}, Attempt)
  local permit, message, code = pool:place(key, left(times, math_huge))
  if not permit then return nil, message, code end
  if permit ~= true then attempt.permit = permit end
  local conn = not is_fresh and pool:take(key) or nil
  if conn then
    conn.reused, pool.reused = true, pool.reused + 1
  else
    conn, message, code = make(pool, plan, times, key)
    if not conn then return nil, message, code end
  end
  conn.permit, attempt.permit = attempt.permit, nil
  return conn
end

return connection
