-- Checks messages against the schema of the Debug Adapter Protocol: $ref, allOf, type, properties, required, items,
-- enum. Loaded with dofile().
local json = require "moonlet.json"

local schema = {}

local file = assert(io.open("tests/spec/inspect/dap_schema.json"))
local definitions = assert(json.decode(file:read "a")).definitions
file:close()

local function type_of(value)
  if value == json.null then return "null" end
  if type(value) == "table" then
    return getmetatable(value) == getmetatable(json.array {}) and "array" or "object"
  end
  return math.type(value) == "integer" and "integer" or type(value)
end

local function has_type(value, wanted)
  local found = type_of(value)
  if type(wanted) == "table" then
    for _, one in ipairs(wanted) do if has_type(value, one) then return true end end
    return false
  end
  return found == wanted or (wanted == "number" and found == "integer")
end

local check

local function check_object(value, rule, place)
  for _, name in ipairs(rule.required or {}) do
    assert(value[name] ~= nil, place .. " lacks " .. name)
  end
  for name, one in pairs(rule.properties or {}) do
    if value[name] ~= nil then check(value[name], one, place .. "." .. name) end
  end
end

function check(value, rule, place)
  if rule["$ref"] then return check(value, definitions[rule["$ref"]:match "([^/]*)$"], place) end
  for _, one in ipairs(rule.allOf or {}) do check(value, one, place) end
  if rule.type then
    local message = place .. " is no " .. json.encode(rule.type) .. ": " .. type_of(value)
    assert(has_type(value, rule.type), message)
  end
  if rule.enum then
    local found = false
    for _, one in ipairs(rule.enum) do found = found or one == value end
    assert(found, place .. " may not be " .. tostring(value))
  end
  if type_of(value) == "object" then check_object(value, rule, place) end
  if rule.items and type_of(value) == "array" then
    for i, one in ipairs(value) do check(one, rule.items, place .. "[" .. i .. "]") end
  end
end

local function capital(text) return text:sub(1, 1):upper() .. text:sub(2) end

--- Raises if a message of the server's is not as the schema wants it.
function schema.check(message)
  local name = message.type == "event" and capital(message.event) .. "Event"
    or message.type == "request" and capital(message.command) .. "Request"
    or message.success == false and "ErrorResponse"
    or capital(message.command) .. "Response"
  assert(definitions[name], "no such message: " .. name)
  check(message, definitions[name], name)
end

return schema
