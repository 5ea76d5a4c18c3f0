--- Tables of options, as the parts of the HTTP client read them. For moonlet's own modules.
-- @module moonlet.http.client.options

local next, pairs = next, pairs

local options = {}

--- The names in a text, as keys.
function options.set(text)
  local names = {}
  for name in text:gmatch "%S+" do names[name] = true end
  return names
end

--- A table with the fields of both; those of `given` win. It is `given` itself if that has all.
function options.merged(own, given)
  if next(own) == nil then return given end
  local opts = {}
  for name, value in pairs(own) do opts[name] = value end
  for name, value in pairs(given) do opts[name] = value end
  return opts
end

return options
