--- How values are read: what stands for NULL, and the script's functions for types. The options of
-- a database, `{null=, types=}`, become what the core takes, once.
-- @module moonlet.postgres.readings

local next, setmetatable, type = next, setmetatable, type

local null = require("moonlet.sql").null

local readings = {}

local VALUE = 3 -- enum ml_pg_want

--- A cache: options -> what the core takes.
function readings.new()
  return setmetatable({}, { __mode = "k" })
end

-- Asks the server for the number of a type.
local function find_type(raw, name)
  local sql = "SELECT to_regtype($1)::oid"
  local number, message, code = raw:run(sql, nil, nil, "0", VALUE, nil, name)
  if code then return nil, message, code end
  if not number then return nil, ("there is no type %s"):format(name), "42704" end
  return number
end

--- Makes what the core takes of the options, on a connection. Waits if they name types.
-- @return it; or nil, message, code
function readings.make(connection, how)
  local types
  for name, fn in next, how.types or {} do
    local number, message, code = name, nil, nil
    if type(name) == "string" then number, message, code = find_type(connection.raw, name) end
    if not number then return nil, message, code end
    types = types or {}
    types[number] = fn
  end
  local reading = { how.null, null, types }
  connection.readings[how] = reading
  return reading
end

return readings
