-- Requests that are collected first and go out together: pipelines and transactions.

local error, getmetatable, ipairs, rawget = error, getmetatable, ipairs, rawget
local select, setmetatable, table_unpack, type = select, setmetatable, table.unpack, type
local string_upper = string.upper

local commands = require "moonlet.redis.commands"
local resp = require "moonlet.redis.resp"

local batch = {}

-- The words of a request as texts. level: of the caller, for errors.
function batch.request(level, ...)
  local request, count = { ... }, select("#", ...)
  if count == 0 or type(request[1]) ~= "string" then
    error("a command must be a string", level + 1)
  end
  for i = 1, count do
    local text = resp.text_of(request[i])
    if not text then
      local form = "argument #%d of the command %s is a %s, not a string or a number"
      error(form:format(i - 1, request[1], type(request[i])), level + 1)
    end
    request[i] = text
  end
  request[1] = string_upper(request[1])
  local reason = commands.FORBIDDEN[request[1]]
  if reason then
    error(("%s is not for a shared connection: %s"):format(request[1], reason), level + 1)
  end
  return request
end

-- Collects requests: every method is a command.
local Batch = {}

function Batch:call(...)
  local request = batch.request(2, ...)
  if commands.does_wait(request) then error(request[1] .. " would keep all others waiting", 2) end
  self.requests[#self.requests + 1] = request
  return self
end

function Batch.__index(_, name)
  local method = rawget(Batch, name)
  if method then return method end
  if type(name) ~= "string" then return nil end
  method = function(this, ...)
    if getmetatable(this) ~= Batch then error(("calling '%s' on a bad self"):format(name), 2) end
    local request = batch.request(2, name, ...)
    if commands.does_wait(request) then error(request[1] .. " would keep all others waiting", 2) end
    this.requests[#this.requests + 1] = request
    return this
  end
  return method
end

function batch.new() return setmetatable({ requests = {} }, Batch) end

-- What fn(batch) has collected, or the requests of a list.
function batch.collect(what, ...)
  local self = batch.new()
  if type(what) ~= "table" or getmetatable(what) then
    what(self, ...)
  else
    for _, words in ipairs(what) do self:call(table_unpack(words)) end
  end
  return self.requests
end

return batch
