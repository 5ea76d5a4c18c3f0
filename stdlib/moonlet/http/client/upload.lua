--- A request's body that is sent in parts, by a task of its own, while the response is awaited and
-- read. For moonlet's own modules.
-- @module moonlet.http.client.upload

local error, setmetatable, type = error, setmetatable, type

local bodies = require "moonlet.http.client.body"
local deadline = require "moonlet.http.client.deadline"
local sync = require "moonlet.sync"
local task = require "moonlet.task"

local left, now = deadline.left, task.now

local upload = {}

-- Seconds that a server which has answered may leave a part unread.
local PATIENCE = 1

-- From this status on the server does not want the rest.
local REFUSAL = 300

-- The server hangs up: its response may be there all the same.
local HUNG_UP = { EPIPE = true, ECONNRESET = true }

local LONGER, SHORTER = "the body is longer than its length", "the body is shorter than its length"

local Upload = {}
Upload.__index = Upload

local function write(self, piece)
  self.is_writing = true
  local ok, message, code = self.x:write(piece, left(self.times, self.times.idle))
  self.is_writing, self.count = false, self.count + 1
  if code == "EPROTO" then message = LONGER end
  return ok, message, code
end

-- The next part that is not empty; nil: the end; or nil, message, code.
local function next_part(read)
  while true do
    local piece, message, code = read()
    if piece == nil then return nil, message, code end
    if type(piece) ~= "string" then
      error("a reader function must return strings, not a " .. type(piece), 0)
    end
    if piece ~= "" then return piece end
  end
end

-- Sends the parts. The last one of a body with a length leaves when nothing follows it: so what the
-- server takes for a whole request is one. true; or nil, message, code.
local function send_parts(self, body)
  local read, remaining = bodies.reader(body), body.length
  local piece, message, code = next_part(read)
  while piece do
    local following
    if remaining then remaining = remaining - #piece end
    if remaining == 0 then following, message, code = next_part(read) end
    if following or remaining and remaining < 0 then return nil, LONGER, "EPROTO" end
    if message then break end
    local ok
    ok, message, code = write(self, piece)
    if not ok then return nil, message, code end
    if remaining == 0 then break end
    piece, message, code = next_part(read)
  end
  if message then return nil, message, code or "EIO" end
  local ok
  ok, message, code = self.x:end_body(left(self.times, self.times.idle))
  if code == "EPROTO" then message = SHORTER end
  return ok, message, code
end

--- A body of no length: true if nothing comes; or nil, message, code.
function upload.check_empty(body)
  local piece, message, code = next_part(bodies.reader(body))
  if piece then return nil, LONGER, "EPROTO" end
  if message then return nil, message, code or "EIO" end
  return true
end

-- Whether the response is of use though the body did not get through.
local function is_soft(self)
  return HUNG_UP[self.code] or self.code == "ETIMEDOUT" and self.has_head
end

-- The body is through, or will not be. self.conn: what still needs it is this upload alone.
local function conclude(self, ok, result, message, code)
  local conn = self.conn or self.link.conn
  self.ended, self.is_over = now(), true
  if ok then
    self.message, self.code = message, code
  elseif not task.is_cancellation(result) then
    self.failure = { result }
  end
  self.done:set()
  if not conn then return end
  if self.conn then
    conn:release(ok and result and conn.x:finish())
  elseif not self.is_stopped and not (ok and (result or is_soft(self))) then
    conn:release(false) -- a task that waits for the response is woken
  end
end

local function run(self, body)
  local ok, result, message, code = task.pcall(send_parts, self, body)
  conclude(self, ok, result, message, code)
  if not ok and (self.conn or task.is_cancellation(result)) then error(result, 0) end
end

-- The same if the task was cancelled before it began.
local function conclude_unbegun(self)
  if self.is_over then return end
  local message = not self.is_stopped and "the task that sends the body was cancelled"
  conclude(self, true, nil, message, message and "ECANCELED")
end

local WEAK = { __mode = "v" }

--- Begins to send the parts of a body on a connection, whose `upload` it becomes. A connection that
-- is released ends it.
function upload.start(conn, body, times)
  local self = setmetatable({
    x = conn.x, times = times, link = setmetatable({ conn = conn }, WEAK), conn = false,
    done = sync.event(), count = 0, is_writing = false, is_over = false, has_head = false,
    is_stopped = false, ended = false, message = false, code = false, failure = false, task = false,
  }, Upload)
  self.task = task.spawn({ daemon = true, name = "http upload" }, run, self, body)
  self.task:on_exit(function() conclude_unbegun(self) end)
  conn.upload = self
  return self
end

--- Ends it. Never waits.
function Upload:cancel()
  if self.is_over then return end
  self.is_stopped = true
  self.task:cancel()
end

-- Ends it, and waits a little until its reader function has noticed.
local function stop(self)
  if self.is_over then return end
  self:cancel()
  self.task:join(left(self.times, PATIENCE))
  self.is_over = true -- it might not have begun
end

--- The head of the response has come; status nil: none will. May wait.
function Upload:answered(status)
  self.has_head = status ~= nil
  if not status or status >= REFUSAL then stop(self) end
end

--- Why the exchange has failed, if this is why: message, code. An error of the reader function is
-- raised.
function Upload:reason()
  if self.failure then error(self.failure[1], 0) end
  if self.message then return self.message, self.code end
end

--- The response is whole: waits until the request is, too, unless the server reads no further.
-- true; or nil, message, code.
function Upload:settle()
  while not self.is_over do
    local count, was_writing = self.count, self.is_writing
    if not self.x:is_lasting() then
      stop(self)
    elseif not self.done:wait(left(self.times, PATIENCE)) then
      if left(self.times, 1) == 0 then return nil, "timeout", "ETIMEDOUT" end
      if was_writing and self.is_writing and self.count == count then stop(self) end
    end
  end
  if self.failure or self.message and not is_soft(self) then return nil, self:reason() end
  return true
end

--- The same without waiting: the connection is the upload's, which gives it back.
function Upload:inherit(conn)
  if self.is_over or not self.x:is_lasting() then return conn:release(conn.x:finish()) end
  self.conn = conn
end

--- Whether a body that was given as a whole is still under way though the response is whole, which
-- does not refuse it.
function upload.is_left(x, status) return status < REFUSAL and x:unsent() > 0 end

--- Waits until such a body is through, unless the server reads no further.
function upload.see_off(x, times)
  local before
  repeat
    before = x:unsent()
    x:end_body(left(times, PATIENCE))
    local unsent = x:unsent()
  until unsent == 0 or unsent == before
end

--- The same without waiting: the connection is given back then.
function upload.leave(conn, times)
  task.spawn({ daemon = true, name = "http upload" }, function()
    upload.see_off(conn.x, times)
    conn:release(conn.x:finish())
  end):on_exit(function() conn:release(false) end) -- also if it was cancelled
end

return upload
