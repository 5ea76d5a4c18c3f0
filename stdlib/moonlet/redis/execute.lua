-- How requests come to the server that can answer them: redirections, lost connections, repeating.

local getmetatable, ipairs, math_min, string_match = getmetatable, ipairs, math.min, string.match
local table_remove, tonumber = table.remove, tonumber

local Cluster = require "moonlet.redis.cluster"
local commands = require "moonlet.redis.commands"
local resp = require "moonlet.redis.resp"
local task = require "moonlet.task"

local execute = {}

local MOST_REDIRECTS = 8
local Refusal = resp.Refusal

local function node_for(self, key)
  if self.cluster then return self.cluster:node_for(key) end
  return self.node
end

-- Whether requests may be sent again although the first attempt may have been carried out.
local function is_repeatable(self, requests)
  if self.options.retry then return true end
  for _, request in ipairs(requests) do
    if not commands.READS[request[1]] then return false end
  end
  return true
end

local function lost(message, code)
  if code == "ETIMEDOUT" or code == "CLOSED" then return nil, message, code end
  return nil, ("the connection was lost before the reply: %s"):format(message), code
end

-- Sends requests to a node and waits. Returns the replies; or nil, message, code. What was not sent
-- at all is sent again, and so is what changes nothing. prefix: a request whose reply is dropped.
function execute.on_node(self, node, requests, prefix)
  local timeout, message, code = self.options.timeout, nil, nil
  for _ = 1, self.options.attempts do
    local connection, exchange, replies
    connection, message, code = node:connection()
    if not connection then return nil, message, code end
    if prefix then
      local all = { prefix }
      for i = 1, #requests do all[i + 1] = requests[i] end
      exchange = connection:send(all)
    else
      exchange = connection:send(requests)
    end
    replies, message, code = exchange:get(timeout)
    if replies then
      if prefix then table_remove(replies, 1) end
      if connection.protocol == 2 then
        for i, reply in ipairs(replies) do replies[i] = commands.as_map(requests[i], reply) end
      end
      return replies
    end
    if code == "ETIMEDOUT" or code == "CLOSED" then return nil, message, code end
    if exchange.is_sent and not is_repeatable(self, requests) then return lost(message, code) end
  end
  return lost(message, code)
end

-- "MOVED 3999 127.0.0.1:6381" -> slot, host, port.
local function target_of(refusal)
  local slot, host, port = string_match(refusal.message, "^%u+ (%d+) (.-):(%d+)$")
  return tonumber(slot), host, tonumber(port)
end

local function wait_a_little(turn) task.sleep(math_min(0.05 * 2 ^ turn, 1)) end

local redirects = {}

-- While a slot changes hands two servers may each name the other for a moment.
function redirects.MOVED(self, refusal, node, turn)
  local slot, host, port = target_of(refusal)
  if not slot then return nil end
  if turn > 1 then wait_a_little(turn - 2) end
  self.cluster = self.cluster or Cluster.new(self.node, self.options)
  local seen, target = self.cluster.loaded, self.cluster:move(slot, host, port, node)
  if not self.is_learning then -- once, while the tasks go on
    self.is_learning = true
    task.spawn({ daemon = true, name = "redis cluster" }, function()
      self.cluster:load(seen)
      self.is_learning = false
    end)
  end
  return target
end

function redirects.ASK(self, refusal, node)
  local slot, host, port = target_of(refusal)
  if not slot then return nil end
  self.cluster = self.cluster or Cluster.new(self.node, self.options)
  return self.cluster:node(host, port, node), { "ASKING" }
end

function redirects.TRYAGAIN(_, _, node, turn)
  wait_a_little(turn)
  return node
end

-- The server has become a replica: its name may lead to another one by now.
function redirects.READONLY(self, _, node, turn, request)
  if self.cluster then
    self.cluster:load()
    return (self.cluster:node_for(commands.key_of(request)))
  end
  if turn > 2 then return nil end
  if node.shared then node.shared:break_off("the server is a replica", "READONLY") end
  wait_a_little(turn)
  return node
end

function redirects.CLUSTERDOWN(self, _, node, turn, request)
  if turn > 4 or not self.cluster then return nil end
  wait_a_little(turn)
  self.cluster:load()
  return self.cluster:node_for(commands.key_of(request)) or node
end

-- LOADING: after a start, for as long as the data are read.
function redirects.LOADING(_, _, node, turn)
  if turn > 4 then return nil end
  wait_a_little(turn)
  return node
end

-- Follows the redirections of a reply. Returns the last reply; or nil, message, code.
local function follow(self, request, reply, node)
  for turn = 0, MOST_REDIRECTS do
    local redirect = getmetatable(reply) == Refusal and redirects[reply.code]
    local prefix, replies, message, code
    local target = nil
    if redirect then target, prefix = redirect(self, reply, node, turn, request) end
    if not target then return reply end
    node = target
    replies, message, code = execute.on_node(self, node, { request }, prefix)
    if not replies then return nil, message, code end
    reply = replies[1]
  end
  return reply
end

-- A node that cannot be reached may have been replaced in its cluster.
local function is_gone(self, code)
  return self.cluster and code ~= "ETIMEDOUT" and code ~= "CLOSED"
end

-- One request. Returns the reply, also a refusal; or nil, message, code.
function execute.one(self, request)
  local key = commands.key_of(request)
  local node, message, code = node_for(self, key)
  if not node then return nil, message, code end
  local replies
  replies, message, code = execute.on_node(self, node, { request })
  if not replies then
    if is_gone(self, code) then self.cluster:load() end
    return nil, message, code
  end
  if getmetatable(replies[1]) ~= Refusal then return replies[1] end
  return follow(self, request, replies[1], node)
end

-- Requests by the nodes that have their keys: node -> list of their numbers; and the nodes in
-- order.
local function divide(self, requests)
  local numbers, nodes = {}, {}
  for i, request in ipairs(requests) do
    local node, message, code = node_for(self, commands.key_of(request))
    if not node then return nil, message, code end
    if not numbers[node] then
      numbers[node] = {}
      nodes[#nodes + 1] = node
    end
    numbers[node][#numbers[node] + 1] = i
  end
  return numbers, nodes
end

-- Many requests at once. Returns the list of their replies; or nil, message, code.
function execute.many(self, requests)
  if #requests == 0 then return {} end
  local numbers, nodes, code = divide(self, requests)
  if not numbers then return nil, nodes, code end
  local result, message = {}
  for _, node in ipairs(nodes) do
    local part, replies = {}
    for k, i in ipairs(numbers[node]) do part[k] = requests[i] end
    replies, message, code = execute.on_node(self, node, part)
    if not replies then return nil, message, code end
    for k, i in ipairs(numbers[node]) do
      result[i], message, code = follow(self, part[k], replies[k], node)
      if result[i] == nil then return nil, message, code end
    end
  end
  return result
end

-- The seconds that a request may wait in the server; nil: without an end.
local function patience_of(request)
  local name, last = request[1], tonumber(request[#request])
  if name == "BLMPOP" or name == "BZMPOP" then last = tonumber(request[2]) end
  if name == "WAIT" or name == "WAITAOF" then last = last and last / 1000 end
  if name == "XREAD" or name == "XREADGROUP" then
    for i = 2, #request do
      if request[i]:upper() == "BLOCK" then
        last = (tonumber(request[i + 1]) or 0) / 1000
        break
      end
    end
  end
  return last and last > 0 and last or nil
end

-- One request that waits in the server, on a connection of its own, which is discarded if the task
-- is cancelled.
function execute.waiting(self, request)
  local node, message, code = node_for(self, commands.key_of(request))
  if not node then return nil, message, code end
  for turn = 0, MOST_REDIRECTS do
    local reply
    reply, message, code = node:with_own(function(connection)
      local patience = patience_of(request)
      local replies, text, name =
        connection:send({ request }):get(patience and patience + self.options.timeout)
      if not replies then return lost(text, name) end
      return replies[1]
    end)
    if reply == nil then return nil, message, code end
    if getmetatable(reply) ~= Refusal or reply.code ~= "MOVED" then return reply end
    node = redirects.MOVED(self, reply, node, turn)
    if not node then return reply end
  end
end

return execute
