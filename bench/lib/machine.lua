--- What the figures were taken on.
local process = require "process"

local machine = {}

local function first_match(path, pattern)
  local file = io.open(path)
  if not file then return nil end
  local found = file:read("a"):match(pattern)
  file:close()
  return found
end

--- @treturn table `cpu` and `kernel`: texts, as far as /proc tells
function machine.describe()
  local model = first_match("/proc/cpuinfo", "model name%s*:%s*([^\n]+)")
  local count = (process.capture {"nproc"} or ""):match("%d+")
  local version = first_match("/proc/sys/kernel/osrelease", "^%d+%.%d+")
  return {
    cpu = model and count and string.format("%s, %s CPUs", model, count) or model,
    kernel = version and "Linux " .. version,
  }
end

return machine
