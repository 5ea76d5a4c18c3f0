-- Answers of the inspector: of what the program has said, or why it has not.

local ipairs, math_tointeger, tonumber, tostring = ipairs, math.tointeger, tonumber, tostring

local plain = require "moonlet.inspector.plain"
local program = require "moonlet.inspector.program"

local reply = {}

local STATUS = { ETIMEDOUT = 504, CLOSED = 503, EAGAIN = 503 }

-- The sentence for people.
local TEXT = {
  ETIMEDOUT = "the program does not answer",
  CLOSED = "the program ends, or has no memory left",
  EAGAIN = "the program does not answer, and many requests wait already",
}

--- A JSON answer; the status is 200 without.
function reply.json(value, status)
  return status or 200, { ["content-type"] = "application/json" }, plain.encode(value)
end

--- An answer that something is wrong.
function reply.problem(status, text) return reply.json({ error = text }, status) end

--- The integer of a query, if it is one from `least` to `most`; nil: there is none.
function reply.integer(req, name, least, most)
  local value = math_tointeger(tonumber(req.query[name]))
  if not value or value < (least or 0) then return nil end
  return most and value > most and most or value
end

-- Machine code that is on the way to every C function that Lua calls.
local function is_of_runtime(frame)
  return frame:find "^moonlet%+" or frame:find "%(moonlet%)$" or frame:find "liblua"
    or frame:find "libmoonlet"
end

-- Names the C function that keeps the program from an answer.
local function describe(hang)
  if hang.call then return TEXT.ETIMEDOUT .. ": it waits in " .. hang.call end
  for _, frame in ipairs(hang.frames) do
    if not is_of_runtime(frame) then return TEXT.ETIMEDOUT .. ": it computes in " .. frame end
  end
  if not hang.computes then return TEXT.ETIMEDOUT .. ": its thread gets no processor" end
  return TEXT.ETIMEDOUT .. ": it computes in a function of Lua's library or of moonlet's"
end

-- There is no answer.
local function fail(message, code)
  local hang = code == "ETIMEDOUT" and program.look() or nil
  local text = hang and describe(hang) or TEXT[code] or message
  return reply.json({ error = text, code = code, hang = hang }, STATUS[code] or 500)
end

--- Answers what program.ask() has returned: show(results...) of a success.
function reply.respond(show, is_good, ...)
  if is_good then return show(...) end
  if is_good == nil then return fail(...) end
  local err, traceback = ...
  return reply.json({ error = tostring(err), traceback = traceback }, 500)
end

return reply
