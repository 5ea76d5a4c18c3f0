-- What serves connections in this program, for a worker that is to stop all of it.

local pairs, setmetatable = pairs, setmetatable

local serving = {}

-- object -> its function that stops it: stop(object, grace, is_replaced)
local objects = setmetatable({}, { __mode = "k" })

--- Notes something that serves.
function serving.add(object, stop) objects[object] = stop end

--- All that has served, as a list of {object, stop}.
function serving.list()
  local list = {}
  for object, stop in pairs(objects) do list[#list + 1] = { object, stop } end
  return list
end

return serving
