-- /profile and /trace: what the program does in the next seconds. It begins and ends the recording;
-- the waiting and the rendering are done here, so both also work while the program computes.

local require, setmetatable, tonumber = require, setmetatable, tonumber

local program = require "moonlet.inspector.program"
local reply = require "moonlet.inspector.reply"
local task = require "moonlet.task"

local recording = {}

-- Seconds that are recorded unless others are asked for, the most, and how long the end may take.
local SECONDS, MOST_SECONDS, END_TIME = 5, 600, 30

local respond = reply.respond

local function seconds_of(req)
  local seconds = tonumber(req.query.s or SECONDS)
  if not seconds or seconds ~= seconds or seconds <= 0 or seconds > MOST_SECONDS then return nil end
  return seconds
end

local NO_SECONDS = "s are seconds, more than 0 and at most " .. MOST_SECONDS

-- Why a recording was not begun.
local FAILURES = { ENOSYS = 501, EINVAL = 400 }

-- Ends what was begun, also if the visitor has left meanwhile.
local End = {}
End.__index = End
function End:__close()
  if not self.is_done then task.spawn({ daemon = true }, program.ask, self.call, 0) end
end

-- Records, and shows what was recorded.
local function record(kind, options, seconds, show)
  return respond(function(has_begun, message, code)
    if not has_begun then return reply.problem(FAILURES[code] or 409, message) end
    local guard <close> = setmetatable({ call = "recording.end_" .. kind }, End)
    task.sleep(seconds)
    guard.is_done = true
    return respond(show, program.ask_somehow(END_TIME, "recording.end_" .. kind, seconds))
  end, program.ask("recording.begin_" .. kind, options))
end

local TYPES = {
  folded = "text/plain; charset=utf-8", pprof = "application/octet-stream",
  speedscope = "application/json", svg = "image/svg+xml",
}

local FORMATS = "format is svg, folded, pprof or speedscope"

local FILES = { pprof = "profile.pb.gz", speedscope = "profile.speedscope.json" }

-- A flame graph is a picture with a script of its own, which reaches nothing.
local SVG = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
  .. "frame-ancestors 'self'; sandbox allow-scripts"

--- GET /profile?s=5&mode=cpu&format=svg
function recording.profile(req, res)
  local seconds, format, mode = seconds_of(req), req.query.format or "svg", req.query.mode or "cpu"
  if not seconds then return reply.problem(400, NO_SECONDS) end
  if not TYPES[format] then return reply.problem(400, FORMATS) end
  if mode ~= "cpu" and mode ~= "wall" then return reply.problem(400, "mode is cpu or wall") end
  return record("profile", { mode = mode, by_task = req.query.by_task == "1" }, seconds,
    function(measured)
      if not measured then return reply.problem(409, "the profile was ended by other code") end
      local render = require("moonlet.inspect.profile").render
      if format == "svg" then
        res.headers["content-security-policy"] = SVG
        res.headers["x-frame-options"] = nil
      end
      if FILES[format] then
        res.headers["content-disposition"] = 'attachment; filename="' .. FILES[format] .. '"'
      end
      return 200, { ["content-type"] = TYPES[format] },
        render(measured, format, mode .. " time, " .. seconds .. " s")
    end)
end

--- GET /trace?s=5
function recording.trace(req)
  local seconds = seconds_of(req)
  if not seconds then return reply.problem(400, NO_SECONDS) end
  return record("trace", nil, seconds, function(copy)
    if not copy then return reply.problem(409, "the trace was ended by other code") end
    local text = require("moonlet.inspect.perfetto").format(copy, task.yield)
    return 200, { ["content-type"] = "application/json",
      ["content-disposition"] = 'attachment; filename="trace.json"' }, text
  end)
end

return recording
