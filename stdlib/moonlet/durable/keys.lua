--- Keys of what a run has remembered: the path of its branch, a name, how many of that name. They
-- are the same whenever the workflow is called again, on any machine.
-- @module moonlet.durable.keys

local setmetatable = setmetatable
local format = string.format

local keys = {}

local Counter = {}
Counter.__index = Counter

-- Signs that separate the parts of a key.
local function escape(name)
  return (name:gsub("[%%#/%[%]%c]", function(sign) return format("%%%02X", sign:byte()) end))
end

-- What a branch has whose names occur once.
local NOTHING = {}

--- Counts the names of one branch.
-- @tparam[opt=""] string path of the branch
function keys.new(path)
  return setmetatable({ path = path or "", counts = {}, first = NOTHING }, Counter)
end

--- The key of the next one of that name: `charge`, then `charge#2`; in a branch `items[3]/charge`.
-- @tparam string name
-- @treturn string
function Counter:next(name)
  local count = (self.counts[name] or 0) + 1
  self.counts[name] = count
  if count == 1 then return self.path .. escape(name) end
  local first = self.first[name]
  if not first then
    first = self.path .. escape(name) .. "#"
    if self.first == NOTHING then self.first = {} end
    self.first[name] = first
  end
  return first .. count
end

--- The path of a branch below a key: `items[3]/`.
-- @tparam string key
-- @tparam integer index
-- @treturn string
function keys.branch(key, index) return format("%s[%d]/", key, index) end

--- Whether a key belongs to the branch of that path, or to one below it.
function keys.is_below(key, path) return key:sub(1, #path) == path end

--- The path of the branch to which a key belongs: "" is the run itself.
function keys.path_of(key) return key:match "^(.*/)[^/]*$" or "" end

return keys
