-- The graph of waits: which task waits for which, and the circles, where none can go on.

local ipairs, type = ipairs, type

local json = require "moonlet.json"

local waits = {}

-- Follows the waits from a task; adds a circle that it comes to and that was not found before.
local function follow(start, targets, seen, circles)
  local path, id = {}, start
  while id and not seen[id] do
    seen[id] = start
    path[#path + 1] = id
    id = targets[id]
  end
  if not id or seen[id] ~= start then return end
  local circle, is_in = json.array {}, false
  for _, member in ipairs(path) do
    is_in = is_in or member == id
    if is_in then circle[#circle + 1] = member end
  end
  circles[#circles + 1] = circle
end

--- Makes the graph of a list of tasks.
-- @treturn table edges: a list of {from=, name=, to=, to_name=, waits_for=}; circles: lists of ids;
-- moves: id -> how often the task has let others run
function waits.graph(tasks)
  local graph = { edges = json.array {}, circles = json.array {}, moves = {} }
  local targets, seen = {}, {}
  for _, entry in ipairs(tasks) do
    local on = type(entry.on) == "table" and entry.on or {}
    if on.task then
      targets[entry.id] = on.task
      graph.moves[entry.id] = entry.switches
      graph.edges[#graph.edges + 1] = { from = entry.id, name = entry.name, to = on.task,
        to_name = on.name, waits_for = entry.waits_for }
    end
  end
  for _, edge in ipairs(graph.edges) do follow(edge.from, targets, seen, graph.circles) end
  return graph
end

--- Leaves out circles of which a member has moved since: tasks were looked at one after the other,
-- so a circle may have been seen that never was.
function waits.confirm(graph, tasks)
  local moves, kept = {}, json.array {}
  for _, entry in ipairs(tasks) do moves[entry.id] = entry.switches end
  for _, circle in ipairs(graph.circles) do
    local still = true
    for _, id in ipairs(circle) do still = still and moves[id] == graph.moves[id] end
    if still then kept[#kept + 1] = circle end
  end
  graph.circles = kept
end

return waits
