-- What the inspector asks of the durable runs of the program.

local ipairs, loaded, pairs, tostring, type = ipairs, package.loaded, pairs, tostring, type
local sort = table.sort

local durable = {}

-- The longest text that is told, in bytes.
local TEXT = 200

-- Fields of a run and of a step. Values stay in the program: they may be anybody's secrets.
local RUN = { "id", "seq", "workflow", "version", "queue", "priority", "key", "status", "due",
  "epoch", "worker", "waits", "message", "code", "parent", "cancel", "crashes", "created",
  "claimed", "ended" }
local STEP = { "key", "kind", "state", "attempt", "due", "name", "began", "ended", "message",
  "code" }

local function pick(row, fields)
  local picked = {}
  for _, name in ipairs(fields) do
    local value = row[name]
    if type(value) == "string" and #value > TEXT then value = value:sub(1, TEXT) .. "..." end
    picked[name] = value
  end
  return picked
end

-- The open databases, in the order of their names. Nothing is loaded for a program without.
local function databases()
  local metrics, list = loaded["moonlet.durable.metrics"], {}
  for d in pairs(metrics and metrics.open or {}) do list[#list + 1] = d end
  sort(list, function(a, b) return tostring(a.db) < tostring(b.db) end)
  return list
end

--- The newest runs of each open database. Waits for the databases.
-- @tparam integer limit of runs, for each
-- @tparam[opt] string status as `d:list` has it
-- @treturn {table} name, now, memory (runs in memory), runs; or message
function durable.runs(limit, status)
  local list = {}
  for i, d in ipairs(databases()) do
    local rows, message = d:list { limit = limit, status = status }
    for k, row in ipairs(rows or {}) do rows[k] = pick(row, RUN) end
    list[i] = { name = tostring(d.db), now = d:now(), memory = d.worker and d.worker.count or 0,
      runs = rows, message = message }
  end
  return list
end

--- One run with its steps and the waits of its branches. Waits for the database.
-- @tparam string name of the database
-- @tparam string id
-- @treturn table or nil: there is no such run
function durable.run(name, id)
  for _, d in ipairs(databases()) do
    local row = tostring(d.db) == name and d:get(id)
    if row then
      local run = pick(row, RUN)
      run.steps, run.now = row.steps, d:now()
      for i, step in ipairs(row.steps) do run.steps[i] = pick(step, STEP) end
      return run
    end
  end
  return nil
end

return durable
