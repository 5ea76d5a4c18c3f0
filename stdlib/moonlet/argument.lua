--- Errors about wrong arguments, for moonlet's modules in Lua. As C functions do, they name the
-- function and the argument, and the line of the caller.
-- @module moonlet.argument

local getmetatable, next = getmetatable, next
local tonumber, tostring, type = tonumber, tostring, type
local math_type = math.type
local core = require "moonlet.argument.core"
package.loaded["moonlet.argument.core"] = nil
local fail = core.fail

local argument = {}

--- Raises "bad argument #position to 'name' (message)" unless ok.
-- @param ok
-- @tparam integer position
-- @tparam string name of the function
-- @tparam string message
function argument.check(ok, position, name, message)
  if not ok then fail(("bad argument #%d to '%s' (%s)"):format(position, name, message)) end
end

local function type_error(value, position, name, expected)
  local message = "bad argument #%d to '%s' (%s expected, got %s)"
  fail(message:format(position, name, expected, value == nil and "no value" or type(value)))
end

--- Raises unless the value is a table with fields of these names only.
-- @param opts
-- @tparam integer position
-- @tparam string name of the function
-- @tparam table known names as keys
function argument.options(opts, position, name, known)
  if type(opts) ~= "table" then type_error(opts, position, name, "table") end
  for key in next, opts do
    if not known[key] then
      local message = "bad argument #%d to '%s' (unknown option '%s')"
      fail(message:format(position, name, tostring(key)))
    end
  end
end

--- Raises unless the value is an object with that metatable: the method was called with a dot.
function argument.self(value, class, name)
  if getmetatable(value) ~= class then
    local got = value == nil and "no value" or type(value)
    fail(("calling '%s' on bad self (%s expected, got %s)"):format(name, class.__name, got))
  end
end

--- Whether the value can be called, also by a metatable that is kept from scripts (__metatable).
argument.is_callable = core.is_callable

--- Whether the value is a text, or an object that prints as one, as a URL does. A plain table is
-- none.
function argument.is_text(value)
  local kind = type(value)
  return kind == "string" or (kind == "table" or kind == "userdata") and getmetatable(value) ~= nil
end

--- Raises a message with the line of the script that called moonlet's modules.
-- @tparam string message
argument.fail = fail

--- Raises a failure `{message=, code=}`, as iterators do.
argument.raise = core.raise

--- Raises unless the value can be called.
function argument.callable(value, position, name)
  if not argument.is_callable(value) then type_error(value, position, name, "function") end
end

--- Raises unless the value is a table.
function argument.table(value, position, name)
  if type(value) ~= "table" then type_error(value, position, name, "table") end
end

--- Raises unless the value is a string.
function argument.string(value, position, name)
  if type(value) ~= "string" then type_error(value, position, name, "string") end
end

--- Raises unless the value is a list of values that can be called.
function argument.functions(value, position, name)
  if type(value) ~= "table" then type_error(value, position, name, "table") end
  for i = 1, #value do
    if not argument.is_callable(value[i]) then
      local message = "bad argument #%d to '%s' (item %d cannot be called)"
      fail(message:format(position, name, i))
    end
  end
end

--- Raises unless the value is a number, or a text that is one, and not NaN.
function argument.number(value, position, name)
  local number = tonumber(value)
  if not number then type_error(value, position, name, "number") end
  if number ~= number then
    local message = "bad argument #%d to '%s' (number expected, got not-a-number)"
    fail(message:format(position, name))
  end
end

--- Raises unless the value is nil, or a positive integer.
function argument.count(value, position, name, what)
  if value ~= nil and (math_type(value) ~= "integer" or value < 1) then
    local form = "bad argument #%d to '%s' (%s must be a positive integer)"
    fail(form:format(position, name, what))
  end
end

return argument
