--- @submodule moonlet.redis

local getmetatable, ipairs, pcall, require, select = getmetatable, ipairs, pcall, require, select
local table_unpack, type = table.unpack, type

local argument = require "moonlet.argument"
local batch = require "moonlet.redis.batch"
local execute = require "moonlet.redis.execute"
local null = require("moonlet.json").null
local resp = require "moonlet.redis.resp"

local script = {}

-- The name under which Redis keeps a script; nil without OpenSSL, then its text goes out each time.
local function name_of(source)
  local ok, name = pcall(function()
    local crypto = require "moonlet.crypto"
    return crypto.hex(crypto.digest("sha1", source))
  end)
  return ok and name or nil
end

local function result_of(reply, message, code)
  if getmetatable(reply) == resp.Refusal then return nil, reply.message, reply.code end
  if reply == nil then return nil, message, code end
  if reply == null then return nil end
  return reply
end

--- Makes a function of a script that runs in the server. Its text is sent once; then its name is
-- enough.
-- @function Redis:script
-- @tparam string source
-- @treturn function takes the list of keys and the arguments, and returns as call does
-- @usage local take = r:script "return redis.call('DECRBY', KEYS[1], ARGV[1])"
-- print(take({ "stock" }, 2))
function script.script(self, source, ...)
  argument.check(type(source) == "string", 1, "script", "string expected")
  if select("#", ...) > 0 or source:find "^%u+$" then -- SCRIPT FLUSH and the like
    return result_of(execute.one(self, batch.request(2, "SCRIPT", source, ...)))
  end
  local name = name_of(source)
  return function(keys, ...)
    argument.check(type(keys) == "table", 1, "script", "list of keys expected")
    local words = { #keys }
    for _, key in ipairs(keys) do words[#words + 1] = key end
    for i = 1, select("#", ...) do words[#words + 1] = (select(i, ...)) end
    if name then
      local request = batch.request(2, "EVALSHA", name, table_unpack(words))
      local reply, message, code = execute.one(self, request)
      if getmetatable(reply) ~= resp.Refusal or reply.code ~= "NOSCRIPT" then
        return result_of(reply, message, code)
      end
    end
    return result_of(execute.one(self, batch.request(2, "EVAL", source, table_unpack(words))))
  end
end

return script
