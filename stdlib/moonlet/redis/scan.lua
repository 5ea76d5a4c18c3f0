--- @submodule moonlet.redis

local error, pairs, table_unpack, type = error, pairs, table.unpack, type

local argument = require "moonlet.argument"
local execute = require "moonlet.redis.execute"
local resp = require "moonlet.redis.resp"

local scan = {}

local OPTIONS = { match = true, count = true, type = true }

-- Words of options: MATCH, COUNT, TYPE.
local function words_of(opts, position, name)
  if opts == nil then return {} end
  argument.options(opts, position, name, OPTIONS)
  local words = {}
  for key, value in pairs(opts) do
    local text = resp.text_of(value)
    argument.check(text, position, name, ("option '%s' must be a string or a number"):format(key))
    words[#words + 1] = key:upper()
    words[#words + 1] = text
  end
  return words
end

-- One step: the next cursor, and the list of what was found; or nil, message, code.
local function step(self, node, request)
  local replies, reply, message, code
  if node then
    replies, message, code = execute.on_node(self, node, { request })
    reply = replies and replies[1]
  else
    reply, message, code = execute.one(self, request)
  end
  if reply == nil then return nil, message, code end
  if reply.code then return nil, reply.message, reply.code end
  if type(reply[1]) ~= "string" or type(reply[2]) ~= "table" then
    return nil, "not a reply to a scan", "EPROTO"
  end
  return reply[1], reply[2]
end

-- Iterates over the lists of all steps, `width` items at a time. nodes: the servers to ask; nil:
-- that of the key. A failure is raised: an iteration that just ended would look complete.
local function iterate(self, nodes, words, at, width)
  local cursor, list, i, n = "0", {}, 1, 1
  local is_done = false
  return function()
    while list[i] == nil do
      if is_done then return nil end
      local request = { words[1], table_unpack(words, 2) }
      request[at] = cursor
      local found, message
      cursor, found, message = step(self, nodes and nodes[n], request)
      if not cursor then error({ message = found, code = message }, 2) end
      list, i = found, 1
      if cursor == "0" then
        n = n + 1
        is_done = not nodes or nodes[n] == nil
      end
    end
    local first, second = list[i], list[i + 1]
    i = i + width
    if width == 1 then return first end
    return first, second
  end
end

--- Iterates over keys (SCAN), in a cluster over those of all its servers. A key may come twice if
-- others write meanwhile; one that is there all the time comes at least once. Each step may wait; a
-- failure raises { message=, code= }.
-- @function Redis:scan
-- @tparam[opt] table opts
-- @tparam[opt] string opts.match a pattern, such as "user:*"
-- @tparam[opt] integer opts.count about how many keys a step looks at
-- @tparam[opt] string opts.type "string", "hash" or another one
-- @treturn function an iterator
-- @usage for key in r:scan { match = "session:*" } do r:unlink(key) end
function scan.scan(self, opts)
  local words, nodes = { "SCAN", "0", table_unpack(words_of(opts, 1, "scan")) }, { self.node }
  if self.cluster then
    local message, code
    nodes, message, code = self.cluster:masters()
    if not nodes then error({ message = message, code = code }, 2) end
  end
  return iterate(self, nodes, words, 2, 1)
end

local function of_key(command, width)
  local name = command:lower()
  return function(self, key, opts)
    local text = resp.text_of(key)
    argument.check(text, 1, name, "string expected")
    local words = { command, text, "0", table_unpack(words_of(opts, 2, name)) }
    return iterate(self, nil, words, 3, width)
  end
end

--- Iterates over the fields and values of a hash (HSCAN), as scan does.
-- @function Redis:hscan
-- @tparam string key
-- @tparam[opt] table opts `match`, `count`
-- @treturn function an iterator: field, value
scan.hscan = of_key("HSCAN", 2)

--- Iterates over the members of a set (SSCAN), as scan does.
-- @function Redis:sscan
-- @tparam string key
-- @tparam[opt] table opts `match`, `count`
-- @treturn function an iterator
scan.sscan = of_key("SSCAN", 1)

--- Iterates over the members of a sorted set (ZSCAN), as scan does.
-- @function Redis:zscan
-- @tparam string key
-- @tparam[opt] table opts `match`, `count`
-- @treturn function an iterator: member, score as a string
scan.zscan = of_key("ZSCAN", 2)

return scan
