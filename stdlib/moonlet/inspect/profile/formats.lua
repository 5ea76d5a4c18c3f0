-- The formats of profiles, each written by a module. Internal. They need no runtime but for gzip,
-- so that a profile can be written when the program ends, on a Lua state of its own.

local require = require

local formats = {}

local modules = {
  folded = "moonlet.inspect.profile.folded",
  pprof = "moonlet.inspect.profile.pprof",
  speedscope = "moonlet.inspect.profile.speedscope",
  svg = "moonlet.inspect.profile.svg",
  table = "moonlet.inspect.profile.list",
}

--- Whether there is a format of that name.
function formats.has(format)
  return modules[format] ~= nil
end

--- What core.stop() returned, as a text, or as a table with the format "table".
-- @param measured
-- @tparam string format
-- @tparam[opt] string title
function formats.render(measured, format, title)
  return require(modules[format]).render(measured, title)
end

return formats
