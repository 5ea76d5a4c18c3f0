-- A cluster: which server has which slot.

local ipairs, next, pairs, setmetatable = ipairs, next, pairs, setmetatable
local tonumber, type = tonumber, type

local Node = require "moonlet.redis.node"
local commands = require "moonlet.redis.commands"
local sync = require "moonlet.sync"

local Cluster = {}
Cluster.__index = Cluster

-- nodes: by "host:port". slots: a number of a slot -> its node.
function Cluster.new(seed, options)
  local self = setmetatable({
    seed = seed, options = options, nodes = {}, slots = {}, loading = sync.mutex(), loaded = 0,
  }, Cluster)
  if seed.address.host then self.nodes[seed.address.host .. ":" .. seed.address.port] = seed end
  return self
end

-- The node at an address, as MOVED and CLUSTER SLOTS name it; without a host: the one that said so.
function Cluster:node(host, port, from)
  if not host or host == "" or host == "?" then host = (from or self.seed).address.host or host end
  local key = host .. ":" .. port
  local node = self.nodes[key]
  if not node then
    node = Node.new({ host = host, port = port }, self.options)
    self.nodes[key] = node
  end
  return node
end

local function ask_for_slots(node)
  local connection, message, code = node:connection()
  if not connection then return nil, message, code end
  local replies
  replies, message, code = connection:send({ { "CLUSTER", "SLOTS" } }):get(node.options.timeout)
  if not replies then return nil, message, code end
  local reply = replies[1]
  if type(reply) == "table" and not reply.code then return reply end
  return nil, reply.message or "not a list of slots", reply.code or "EPROTO"
end

local function take_slots(self, ranges, from)
  local slots = {}
  for _, range in ipairs(ranges) do
    local first, last, master = range[1], range[2], range[3]
    local is_good = type(first) == "number" and type(last) == "number" and
      first >= 0 and last <= 16383 and type(master) == "table" and tonumber(master[2])
    if is_good then
      local host = type(master[1]) == "string" and master[1] or nil
      local node = self:node(host, tonumber(master[2]), from)
      for slot = first, last do slots[slot] = node end
    end
  end
  self.slots = slots
  self.loaded = self.loaded + 1
end

-- Learns the slots from any server that answers. seen: `loaded` when the caller found them wrong;
-- they are asked for once, however many tasks find that. Waits. true; or nil, message, code.
function Cluster:load(seen)
  local _ <close> = self.loading:lock()
  if seen and self.loaded ~= seen then return true end
  local candidates, message, code = { self.seed }, nil, nil
  for _, node in pairs(self.nodes) do candidates[#candidates + 1] = node end
  for _, node in ipairs(candidates) do
    local ranges
    ranges, message, code = ask_for_slots(node)
    if ranges then
      take_slots(self, ranges, node)
      return true
    end
  end
  return nil, message, code
end

-- The node for a request's key; any node if it has none.
function Cluster:node_for(key)
  if self.loaded == 0 then
    local ok, message, code = self:load(0)
    if not ok then return nil, message, code end
  end
  if key then
    local node = self.slots[commands.slot_of(key)]
    if node then return node end
  end
  local _, any = next(self.slots)
  return any or self.seed
end

-- MOVED: the slot has a new node.
function Cluster:move(slot, host, port, from)
  local node = self:node(host, port, from)
  self.slots[slot] = node
  return node
end

-- All nodes that have slots.
function Cluster:masters()
  local ok, message, code = self:node_for(nil)
  if not ok then return nil, message, code end
  local seen, list = {}, {}
  for slot = 0, 16383 do
    local node = self.slots[slot]
    if node and not seen[node] then
      seen[node] = true
      list[#list + 1] = node
    end
  end
  return list
end

function Cluster:close()
  for _, node in pairs(self.nodes) do node:close() end
end

return Cluster
