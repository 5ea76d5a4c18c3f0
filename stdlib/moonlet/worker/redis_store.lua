-- Stores in Redis: the calls of a shared store over a server that many machines reach. A value is
-- one key of Redis's, so each call is atomic there.

local error, getmetatable, next, select = error, getmetatable, next, select
local setmetatable, tonumber, tostring, type = setmetatable, tonumber, tostring, type
local math_ceil, math_type = math.ceil, math.type
local string_find, string_gsub = string.find, string.gsub
local string_match, string_sub = string.match, string.sub

local argument = require "moonlet.argument"
local cas_of = require "moonlet.worker.cas"
local redis = require "moonlet.redis"
local redis_value = require "moonlet.worker.redis_value"
local sync = require "moonlet.sync"

local check = argument.check
local text_of, text_of_number = redis_value.text_of, redis_value.text_of_number

local LONGEST_KEY, LONGEST_NAME = 4096, 63

-- Seconds: Redis takes no time to live that is far longer.
local FOREVER = 1e12

-- The value of a text; or nil, message, code.
local function value_of(text, key)
  local value, code = redis_value.value_of(text)
  if not code then return value end
  local form = "the value of '%s' is not one that this version of moonlet has stored"
  return nil, form:format(key), code
end

-- ---- what runs in the server ----

-- KEYS[1]; ARGV: what to add, the time to live of a new key in ms or "". The sum, as a text.
local INCR = [[
local old, by, ttl = redis.call('GET', KEYS[1]), ARGV[1], ARGV[2]
if not old then
  if ttl == '' then redis.call('SET', KEYS[1], by)
  else redis.call('SET', KEYS[1], by, 'PX', ttl) end
  return by
end
local whole = '^%-?%d+$'
if string.find(old, whole) and string.find(by, whole) then
  local sum = redis.pcall('INCRBY', KEYS[1], by)
  if type(sum) == 'table' then return sum end
  return redis.call('GET', KEYS[1])
end
local function number(text)
  return tonumber(string.match(text, whole) or string.match(text, '^f(.*)$') or '')
end
local a = number(old)
if not a then return redis.error_reply('EINVAL not a number') end
local sum = string.format('f%.17g', a + number(by))
redis.call('SET', KEYS[1], sum, 'KEEPTTL')
return sum
]]

-- KEYS[1]; ARGV: the old text, the new one, and "delete", "keep", "" or the time to live in ms.
local SWAP = [[
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local new, ttl = ARGV[2], ARGV[3]
if ttl == 'delete' then redis.call('DEL', KEYS[1])
elseif ttl == 'keep' then redis.call('SET', KEYS[1], new, 'KEEPTTL')
elseif ttl == '' then redis.call('SET', KEYS[1], new)
else redis.call('SET', KEYS[1], new, 'PX', ttl) end
return 1
]]

-- ---- the calls ----

local Store = { __name = "worker.store" }
Store.__index = Store

-- For the functions that methods call: an error on the line that has called the method.
local function demand(ok, position, name, message)
  if not ok then error(("bad argument #%d to '%s' (%s)"):format(position, name, message), 4) end
end

-- The key in Redis.
local function key_of(self, key, name)
  if getmetatable(self) ~= Store then
    error(("calling '%s' on bad self (worker.store expected)"):format(name), 3)
  end
  demand(type(key) == "string", 1, name, "string expected")
  demand(#key <= LONGEST_KEY, 1, name, "key is longer than 4096 bytes")
  return self.prefix .. key
end

-- The time to live in ms; nil: without an end.
local function ttl_of(opts, position, name)
  if opts == nil then return nil end
  demand(type(opts) == "table", position, name, "table expected")
  for option in next, opts do
    demand(option == "ttl", position, name, ("unknown option '%s'"):format(tostring(option)))
  end
  local ttl = opts.ttl
  if ttl == nil then return nil end
  demand(type(ttl) == "number" and ttl > 0, position, name,
    "option 'ttl' must be a positive number of seconds")
  return ttl <= FOREVER and math_ceil(ttl * 1000) or nil
end

local function fail(message, code)
  if code == "OOM" then return nil, "the store is full", "ENOSPC" end
  return nil, message, code
end

local function argument_text(value, name)
  local text, reason = text_of(value)
  demand(text, 2, name, reason)
  return text
end

function Store:get(key)
  local text, message, code = self.client:get(key_of(self, key, "get"))
  if text == nil then
    if code then return nil, message, code end
    return nil
  end
  return value_of(text, key)
end

-- The value, and its text, which stands for its version.
local function read(self, key)
  local text, message, code = self.client:get(key_of(self, key, "cas"))
  if text == nil then return nil, nil, message, code end
  local value
  value, message, code = value_of(text, key)
  return value, text, message, code
end

local function delete(self, name)
  local count, message, code = self.client:del(name)
  if not count then return nil, message, code end
  return count > 0
end

local function put(self, key, text, ttl, ...)
  local client = self.client
  if ttl then return client:set(key, text, "PX", ttl, ...) end
  return client:set(key, text, ...)
end

function Store:set(key, ...)
  local place = key_of(self, key, "set")
  local value, opts = ...
  local ttl = ttl_of(opts, 3, "set")
  check(select("#", ...) > 0, 2, "set", "value expected")
  local ok, message, code
  if value == nil then
    ok, message, code = delete(self, place)
  else
    ok, message, code = put(self, place, argument_text(value, "set"), ttl)
  end
  if ok == nil then return fail(message, code) end
  return true
end

function Store:add(key, value, opts)
  local place = key_of(self, key, "add")
  local ttl = ttl_of(opts, 3, "add")
  check(value ~= nil, 2, "add", "value expected")
  local ok, message, code = put(self, place, argument_text(value, "add"), ttl, "NX")
  if code then return fail(message, code) end
  return ok ~= nil
end

local function incr_failed(key, message, code)
  if code == "EINVAL" then
    return nil, ("the value of '%s' is not a number"):format(key), "EINVAL"
  end
  if message and string_find(message, "would overflow", 1, true) then
    return nil, ("the sum of '%s' is too large for an integer"):format(key), "ERANGE"
  end
  return fail(message, code)
end

function Store:incr(key, n, opts)
  local place = key_of(self, key, "incr")
  if n == nil then n = 1 end
  check(type(n) == "number", 2, "incr", ("number expected, got %s"):format(type(n)))
  local ttl = ttl_of(opts, 3, "incr")
  local sum, message, code
  if not ttl and math_type(n) == "integer" then
    sum, message, code = self.client:incrby(place, n)
    if sum then return sum end
    if code ~= "ERR" then return incr_failed(key, message, code) end
  end
  sum, message, code = self.run_incr({ place }, text_of_number(n), ttl or "")
  if not sum then return incr_failed(key, message, code) end
  return value_of(sum, key)
end

function Store:delete(key) return delete(self, key_of(self, key, "delete")) end

local function swap(self, key, new, version, opts)
  local place, ttl = key_of(self, key, "cas"), "keep"
  if opts ~= nil then ttl = ttl_of(opts, 4, "cas") or "" end
  local text = ""
  if new == nil then
    ttl = "delete"
  else
    local reason
    text, reason = text_of(new)
    demand(text, 3, "cas", reason)
  end
  local count, message, code = self.run_swap({ place }, version, text, ttl)
  if not count then return fail(message, code) end
  return count == 1
end

Store.cas = cas_of(read, swap)

function Store:keys(prefix)
  argument.self(self, Store, "keys")
  check(prefix == nil or type(prefix) == "string", 1, "keys", "string expected")
  local pattern = string_gsub(self.prefix .. (prefix or ""), "[%[%]*?\\]", "\\%0") .. "*"
  local from, seen = #self.prefix + 1, {}
  local next_key = self.client:scan { match = pattern, count = 1000 }
  return function()
    local key
    repeat key = next_key() until not key or not seen[key] -- Redis may name a key twice
    if not key then return nil end
    seen[key] = true
    return string_sub(key, from)
  end
end

-- size, used: of the server; nil: it has no bound.
function Store:usage()
  argument.self(self, Store, "usage")
  local text, message, code = self.client:info "memory"
  if not text then return nil, message, code end
  local size, count = tonumber(string_match(text, "\nmaxmemory:(%d+)")), 0
  for _ in self:keys() do count = count + 1 end
  return {
    size = size ~= 0 and size or nil, used = tonumber(string_match(text, "\nused_memory:(%d+)")),
    keys = count,
  }
end

-- ---- opening ----

local clients, opening = {}, {} -- by URL: one for all stores of this runtime

local function client_of(url)
  local client = clients[url]
  if client then return client end
  opening[url] = opening[url] or sync.mutex()
  local _ <close> = opening[url]:lock()
  if clients[url] then return clients[url] end
  local message, code
  client, message, code = redis.open(url)
  clients[url] = client
  return client, message, code
end

local function is_client(value)
  local class = type(value) == "table" and getmetatable(value)
  return class and class.__name == "redis"
end

local WISHES = { redis = true, name = true }

-- Opens one: worker.store(name, { redis = ... }), or worker.store { redis = ..., name = ... }.
return function(name, opts)
  local position = 2
  if type(name) == "table" then
    name, opts, position = name.name, name, 1
    if name == nil then name = "store" end
  end
  argument.options(opts, position, "store", WISHES)
  check(type(name) == "string" and #name > 0 and #name <= LONGEST_NAME and
    not string_find(name, "\0", 1, true), 1, "store",
    "name must have from 1 to 63 bytes, without zeros")
  local client, message, code = opts.redis, nil, nil
  check(type(client) == "string" or is_client(client), position, "store",
    "option 'redis' must be a URL or a client of moonlet.redis")
  if type(client) == "string" then client, message, code = client_of(client) end
  if not client then return nil, message, code end
  return setmetatable({
    client = client, run_incr = client:script(INCR), run_swap = client:script(SWAP),
    prefix = string_gsub(name, "[%%:]", { ["%"] = "%25", [":"] = "%3A" }) .. ":",
  }, Store)
end
