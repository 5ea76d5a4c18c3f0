-- What the inspector answers over HTTP.

local math_type, require, type = math.type, require, type
local table_move, unpack = table.move, table.unpack

local channel = require("moonlet.thread").channel
local debugger = require "moonlet.inspector.debugger"
local http = require "moonlet.http"
local json = require "moonlet.json"
local page = require "moonlet.inspector.page"
local program = require "moonlet.inspector.program"
local recording = require "moonlet.inspector.recording"
local reply = require "moonlet.inspector.reply"
local task = require "moonlet.task"

local endpoints = {}

-- The most tasks that are told at a time, and how long that may take.
local MOST_TASKS, TASKS_TIME = 100000, 20

-- The longest that an evaluation may take, in seconds.
local MOST_SECONDS = 3600

-- So long after the last look at the tasks their accounts are kept, in seconds, and how long it may
-- take to end that.
local KEEP, END_TIME = 10, 30

local respond = reply.respond

-- ---- looking ----

-- Whether the program answers.
local function state()
  return respond(function(name)
    return reply.json { answers = true, task = name, lost_events = program.lost() }
  end, program.ask "program.ping")
end

local function flag(req, name, default)
  local value = req.query[name]
  if value == nil then return default end
  return value ~= "0" and value ~= "false"
end

local kept_until -- when accounts are not needed any more; nil: none are kept

local function drop_accounts()
  repeat task.sleep(kept_until - task.now()) until task.now() >= kept_until
  kept_until = nil
  program.ask_patiently(END_TIME, "program.account", false)
end

-- Accounts make switches slower: they are kept while visitors look. A program that computes
-- keeps them, too; one that does not answer has none.
local function keep_accounts()
  local is_new = not kept_until
  kept_until = task.now() + KEEP
  if not is_new then return end
  task.spawn({ name = "accounts", daemon = true }, drop_accounts)
  program.ask("program.account", true)
end

-- One list of all that lists in a channel have.
local function joined(parts)
  local list = json.array {}
  for part in function() return parts:get(0) end do
    table_move(part, 1, #part, #list + 1, list)
  end
  return list
end

-- GET /tasks?filter=&state=&id=&group=1&stack=0&limit=
local function tasks(req)
  local opts = {
    filter = req.query.filter, state = req.query.state, id = reply.integer(req, "id"),
    group = flag(req, "group"), stack = flag(req, "stack", true),
    limit = reply.integer(req, "limit", 1, MOST_TASKS),
  }
  keep_accounts()
  local parts = channel(MOST_TASKS)
  return respond(function(count)
    return reply.json { tasks = joined(parts), count = count, at = task.now() }
  end, program.ask_somehow(TASKS_TIME, "program.tasks", opts, parts))
end

-- The most waits that are told at a time.
local MOST_WAITS = 1000

-- GET /waits: the tasks that wait for others, and the circles of them.
local function wait_graph()
  return respond(function(graph)
    json.array(graph.edges)
    json.array(graph.circles)
    return reply.json(graph)
  end, program.ask_somehow(TASKS_TIME, "program.waits", { limit = MOST_WAITS }))
end

-- The most durable runs that are told of a database, and how many without a question.
local MOST_RUNS, RUNS = 1000, 200

-- GET /durable?limit=&status=: the newest durable runs; /durable?db=&id=: one with its steps
local function durable(req)
  local db, id = req.query.db, req.query.id
  if db and id then
    return respond(function(run)
      if not run then return reply.problem(404, "there is no such run") end
      json.array(run.steps)
      return reply.json(run)
    end, program.ask_somehow(TASKS_TIME, "durable.run", db, id))
  end
  return respond(function(list)
    for i = 1, #list do json.array(list[i].runs or {}) end
    return reply.json { databases = json.array(list) }
  end, program.ask_somehow(TASKS_TIME, "durable.runs",
    reply.integer(req, "limit", 1, MOST_RUNS) or RUNS, req.query.status))
end

-- GET /workers: how the workers are, of which the program is one
local function workers()
  return respond(function(answer, message, code)
    if answer then return reply.json(answer) end
    return reply.problem(code == "ENOTCONN" and 404 or 502, message)
  end, program.ask_somehow(TASKS_TIME, "workers.status"))
end

local PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
local OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

-- What a scraper or a person asks for.
local function metrics_format(req)
  local format, accept = req.query.format, req.headers.accept or ""
  if format then return format end
  if accept:find("openmetrics", 1, true) then return "openmetrics" end
  return accept:find("application/json", 1, true) and "json" or "prometheus"
end

local TYPES = { prometheus = PROMETHEUS, openmetrics = OPENMETRICS, json = "application/json" }

local function metrics(req)
  local format = metrics_format(req)
  if not TYPES[format] then
    return reply.problem(400, "format is prometheus, openmetrics or json")
  end
  return respond(function(text) return 200, { ["content-type"] = TYPES[format] }, text end,
    program.ask("program.metrics", format))
end

-- ---- acting ----

-- The body of a request as a table; or nil and an answer.
local function body_of(req)
  local body, message, code = req:json()
  if message then return nil, { nil, message, code } end
  if type(body) ~= "table" then return nil, { reply.problem(400, "the body is no object") } end
  return body
end

local function with_body(fn)
  return function(req)
    local body, answer = body_of(req)
    if not body then return answer[1], answer[2], answer[3] end
    return fn(body)
  end
end

local function is_id(value) return math_type(value) == "integer" and value > 0 end

-- POST /cancel {"task": 12}
local function cancel(body)
  if not is_id(body.task) then return reply.problem(400, "task is a number of one") end
  return respond(function(is_there)
    if not is_there then return reply.problem(404, "there is no task of that number") end
    return reply.json { cancelled = body.task }
  end, program.ask("program.cancel", body.task, "cancelled by the inspector"))
end

-- POST /evaluate {"code": "x + 1", "task": 12, "level": 0, "seconds": 5}
local function evaluate(body)
  local seconds = body.seconds == nil and 5 or body.seconds
  if type(body.code) ~= "string" then return reply.problem(400, "code is a text") end
  if body.task ~= nil and not is_id(body.task) then
    return reply.problem(400, "task is a number of one")
  end
  if type(seconds) ~= "number" or seconds ~= seconds or seconds <= 0 or seconds > MOST_SECONDS then
    return reply.problem(400, "seconds are more than 0")
  end
  local level = math_type(body.level) == "integer" and body.level or 0
  return respond(reply.json, program.ask_somehow(seconds + 1, "evaluate.run", body.task or false,
    level, body.code, seconds))
end

-- POST /request {"call": "part.function", "arguments": [...], "seconds": 1}
local function request(body)
  if type(body.call) ~= "string" then return reply.problem(400, "call is a text") end
  local arguments = type(body.arguments) == "table" and body.arguments or {}
  local function show(...) return reply.json { results = json.array { ... } } end
  if type(body.seconds) == "number" then
    return respond(show, program.ask_for(body.seconds, body.call, unpack(arguments)))
  end
  return respond(show, program.ask(body.call, unpack(arguments)))
end

-- For visitors who may do more than look.
local function for_writers(handler)
  return function(req, res)
    if req.locals.visitor.may_write then return handler(req, res) end
    return reply.problem(403,
      "visitors over TCP may only look, unless the program is started with --inspect-write")
  end
end

--- The handler of all requests.
function endpoints.open()
  local router = http.router()
  router:get("/", page.show)
  router:get("/state", state)
  router:get("/tasks", tasks)
  router:get("/waits", wait_graph)
  router:get("/durable", durable)
  router:get("/workers", workers)
  router:get("/metrics", metrics)
  router:get("/profile", recording.profile)
  router:get("/trace", recording.trace)
  router:get("/dap", for_writers(debugger.handle))
  router:post("/cancel", for_writers(with_body(cancel)))
  router:post("/evaluate", for_writers(with_body(evaluate)))
  router:post("/request", for_writers(with_body(request)))
  return router
end

return endpoints
