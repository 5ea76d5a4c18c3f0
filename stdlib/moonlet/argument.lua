--- What the modules written in Lua say about wrong arguments: as C functions say it, naming the
-- function and the argument, at the place of the caller. For moonlet's own modules.
-- @module moonlet.argument

local error, getmetatable, tonumber, type = error, getmetatable, tonumber, type
local math_type = math.type

local argument = {}

--- Raises "bad argument #position to 'name' (message)" unless ok.
-- @param ok
-- @tparam integer position
-- @tparam string name of the function
-- @tparam string message
function argument.check(ok, position, name, message)
  if not ok then error(("bad argument #%d to '%s' (%s)"):format(position, name, message), 3) end
end

local function type_error(value, position, name, expected)
  local message = "bad argument #%d to '%s' (%s expected, got %s)"
  error(message:format(position, name, expected, value == nil and "no value" or type(value)), 4)
end

--- Whether the value can be called.
function argument.is_callable(value)
  if type(value) == "function" then return true end
  local metatable = getmetatable(value)
  return type(metatable) == "table" and metatable.__call ~= nil
end

--- Raises unless the value can be called.
function argument.callable(value, position, name)
  if not argument.is_callable(value) then type_error(value, position, name, "function") end
end

--- Raises unless the value is a table.
function argument.table(value, position, name)
  if type(value) ~= "table" then type_error(value, position, name, "table") end
end

--- Raises unless the value is a list of what can be called.
function argument.functions(value, position, name)
  if type(value) ~= "table" then type_error(value, position, name, "table") end
  for i = 1, #value do
    if not argument.is_callable(value[i]) then
      local message = "bad argument #%d to '%s' (item %d cannot be called)"
      error(message:format(position, name, i), 3)
    end
  end
end

--- Raises unless the value is a number, or a text that is one.
function argument.number(value, position, name)
  if not tonumber(value) then type_error(value, position, name, "number") end
end

--- Raises unless the value is nil, or a positive integer.
function argument.count(value, position, name, what)
  if value ~= nil and (math_type(value) ~= "integer" or value < 1) then
    local form = "bad argument #%d to '%s' (%s must be a positive integer)"
    error(form:format(position, name, what), 3)
  end
end

return argument
