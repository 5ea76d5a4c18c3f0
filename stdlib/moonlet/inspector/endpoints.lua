-- What the inspector answers over HTTP.

local table, tonumber, tostring, type = table, tonumber, tostring, type

local http = require "moonlet.http"
local json = require "moonlet.json"
local program = require "moonlet.inspector.program"

local endpoints = {}

-- ---- what the program has answered ----

-- The status of an answer for a program that does not answer, by the code of the failure.
local STATUS = { ETIMEDOUT = 504, CLOSED = 503, EAGAIN = 503 }

-- The sentence for people.
local TEXT = {
  ETIMEDOUT = "the program does not answer", CLOSED = "the program ends, or has no memory left",
  EAGAIN = "the program does not answer, and many requests wait already",
}

-- Answers what program.ask() has returned: show(results...) of a success.
local function respond(show, is_good, ...)
  if is_good then return show(...) end
  if is_good == nil then
    local message, code = ...
    return STATUS[code] or 500, { error = TEXT[code] or message, code = code }
  end
  local message, traceback = ...
  return 500, { error = tostring(message), traceback = traceback }
end

local function as_list(...) return { results = json.array { ... } } end

-- ---- the endpoints ----

local function is_table(value) return type(value) == "table" end

-- POST /request {"call": "part.function", "arguments": [...], "seconds": 1}
local function request(req)
  local body, message, code = req:json()
  if message then return nil, message, code end
  local call = is_table(body) and body.call
  if type(call) ~= "string" then return 400, { error = "no call" } end
  local arguments = is_table(body.arguments) and body.arguments or {}
  local seconds = tonumber(body.seconds)
  if seconds then
    return respond(as_list, program.ask_for(seconds, call, table.unpack(arguments)))
  end
  return respond(as_list, program.ask(call, table.unpack(arguments)))
end

-- Whether the program answers.
local function state()
  return respond(function(name) return { answers = true, task = name } end,
    program.ask "program.ping")
end

-- For those who may do more than look.
local function for_writers(handler)
  return function(req, res)
    if req.locals.visitor.may_write then return handler(req, res) end
    return 403, { error = "visitors over TCP may only look: start the program with --inspect-write" }
  end
end

--- The handler of all requests.
function endpoints.open()
  local router = http.router()
  router:get("/state", state)
  router:post("/request", for_writers(request))
  return router
end

return endpoints
