-- Profiles and traces for the inspector: begun and ended here without a wait, rendered there.

local error, pcall, require, tostring = error, pcall, require, tostring

local recording = {}

-- A part of moonlet.inspect; nil: this moonlet has none.
local function part(name)
  local is_there, module = pcall(require, "moonlet.inspect." .. name)
  return is_there and module or nil
end

-- true, or nil, message, code. Never waits.
local function begin(fn, options)
  local is_good, ok, message, code = pcall(fn, options)
  if not is_good then return nil, tostring(ok), "EINVAL" end
  if not ok then return nil, message, code end
  return true
end

--- Begins a profile.
-- @treturn boolean true; or nil, message, code
function recording.begin_profile(options)
  local profile = part "profile"
  if not profile then return nil, "this moonlet takes no profiles", "ENOSYS" end
  return begin(profile.start, options)
end

--- Ends it.
-- @return what was measured
function recording.end_profile() return part "profile".stop() end

--- Begins a trace, beside those that the program records.
-- @treturn boolean true; or nil, message, code
function recording.begin_trace()
  local trace = part "trace"
  if not trace then return nil, "this moonlet records no traces", "ENOSYS" end
  return begin(trace.begin)
end

--- Ends it.
-- @tparam number seconds how much of it
-- @return what was recorded
function recording.end_trace(seconds)
  local trace = part "trace"
  local is_good, copy = pcall(trace.copy, seconds)
  trace.finish()
  if not is_good then error(copy, 0) end
  return copy
end

return recording
