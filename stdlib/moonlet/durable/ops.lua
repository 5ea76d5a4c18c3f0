--- What durable runs write, as kinds of rows for the writer. Each statement holds only where the
-- run still has the epoch with which this worker claimed it: a worker that lost its lease writes
-- nothing.
-- @module moonlet.durable.ops

local ops = {}

local function new(types, op)
  op.types, op.columns = types, #types
  return op
end

-- The runs of v that this worker still has.
local HELD = " JOIN moonlet_runs r ON r.id = v.column1 AND r.epoch = v.column2"
  .. " AND r.status = 'running' "

--- A record of a step: 1 run, 2 epoch, 3 key, 4 seq, 5 kind, 6 state, 7 value, 8 args, 9 attempt,
-- 10 due, 11 name, 12 began, 13 ended. One that is final stays.
ops.step = new({ "text", "integer", "text", "integer", "text", "text", "bytes", "bytes", "integer",
  "real", "text", "real", "real" }, {
  statement = function(engine, rows)
    return engine.sql("INSERT INTO moonlet_steps (run, key, seq, kind, state, value, args, attempt,"
      .. " due, name, began, ended) SELECT v.column1, v.column3, v.column4, v.column5, v.column6,"
      .. " v.column7, v.column8, v.column9, v.column10, v.column11, v.column12, v.column13 FROM "
      .. engine.values(rows, ops.step.types) .. HELD .. "WHERE true"
      .. " ON CONFLICT (run, key) DO UPDATE SET state = excluded.state, value = excluded.value,"
      .. " attempt = excluded.attempt, due = excluded.due, ended = excluded.ended,"
      .. " began = excluded.began, name = excluded.name"
      .. " WHERE moonlet_steps.state NOT IN ('done', 'failed')")
  end,
  is_written = function(db, engine, item)
    local row, message, code = db:row(engine.sql [[SELECT s.state, s.began, s.attempt
      FROM moonlet_steps s JOIN moonlet_runs r ON r.id = s.run AND r.epoch = ?
      WHERE s.run = ? AND s.key = ?]], item[2], item[1], item[3])
    if code then return nil, message, code end
    return row ~= nil and row.state == item[6] and row.began == item[12]
      and row.attempt == item[9]
  end,
})

--- A message that a run receives: 1 run, 2 epoch, 3 key, 4 seq, 5 topic, 6 now.
ops.receive = new({ "text", "integer", "text", "integer", "text", "real" }, {
  statement = function(engine, rows)
    return engine.sql("INSERT INTO moonlet_steps (run, key, seq, kind, state, value, ref, name,"
      .. " began, ended) SELECT v.column1, v.column3, v.column4, 'receive', 'done', m.value, m.seq,"
      .. " v.column5, v.column6, v.column6 FROM " .. engine.values(rows, ops.receive.types) .. HELD
      .. "JOIN moonlet_messages m ON m.seq = (SELECT min(n.seq) FROM moonlet_messages n"
      .. " WHERE n.run = v.column1 AND n.topic = v.column5 AND NOT EXISTS (SELECT 1"
      .. " FROM moonlet_steps x WHERE x.run = n.run AND x.ref = n.seq)) WHERE true"
      .. " ON CONFLICT (run, key) DO UPDATE SET state = excluded.state, value = excluded.value,"
      .. " ref = excluded.ref, ended = excluded.ended WHERE moonlet_steps.state = 'waiting'")
  end,
  is_written = function(db, engine, item)
    local row, message, code = db:row(engine.sql [[SELECT state FROM moonlet_steps
      WHERE run = ? AND key = ?]], item[1], item[3])
    if code then return nil, message, code end
    return row ~= nil and row.state == "done"
  end,
})

--- The end of a run: 1 id, 2 epoch, 3 status, 4 output, 5 message, 6 code, 7 now.
ops.finish = new({ "text", "integer", "text", "bytes", "text", "text", "real" }, {
  statement = function(engine, rows)
    return engine.sql("UPDATE moonlet_runs SET status = v.column3, output = v.column4,"
      .. " message = v.column5, code = v.column6, ended = v.column7, waits = NULL FROM "
      .. engine.values(rows, ops.finish.types) .. " WHERE moonlet_runs.id = v.column1"
      .. " AND moonlet_runs.epoch = v.column2 AND moonlet_runs.status = 'running'")
  end,
  is_written = function(db, engine, item)
    local row, message, code = db:row(engine.sql
      "SELECT status, epoch FROM moonlet_runs WHERE id = ?", item[1])
    if code then return nil, message, code end
    return row ~= nil and row.status == item[3] and row.epoch == item[2]
  end,
})

local IS_WOKEN = [[EXISTS (SELECT 1 FROM moonlet_steps s JOIN moonlet_messages m
  ON m.run = s.run AND m.topic = s.name WHERE s.run = $ID AND s.kind = 'receive'
  AND s.state = 'waiting' AND NOT EXISTS (SELECT 1 FROM moonlet_steps x
  WHERE x.run = m.run AND x.ref = m.seq))
  OR EXISTS (SELECT 1 FROM moonlet_steps s JOIN moonlet_events e ON e.name = s.name
  WHERE s.run = $ID AND s.kind = 'await' AND s.state = 'waiting')
  OR EXISTS (SELECT 1 FROM moonlet_steps s JOIN moonlet_runs c ON c.id = s.name
  WHERE s.run = $ID AND s.kind = 'child' AND s.state = 'waiting'
  AND c.status NOT IN ('queued', 'running'))]]

--- A condition: something is there that a suspended run waits for.
-- @tparam string id an expression for the id of the run
function ops.is_woken(id) return (IS_WOKEN:gsub("%$ID", id)) end

--- A run that leaves this worker: 1 id, 2 epoch, 3 due, 4 waits (NULL: it goes on at once), 5 now.
ops.suspend = new({ "text", "integer", "real", "text", "real" }, {
  statement = function(engine, rows)
    return engine.sql("UPDATE moonlet_runs SET status = 'queued', worker = NULL, waits = v.column4,"
      .. " due = CASE WHEN moonlet_runs.cancel IS NOT NULL OR " .. ops.is_woken("v.column1")
      .. " THEN v.column5 ELSE v.column3 END FROM " .. engine.values(rows, ops.suspend.types)
      .. " WHERE moonlet_runs.id = v.column1 AND moonlet_runs.epoch = v.column2"
      .. " AND moonlet_runs.status = 'running'")
  end,
  is_written = function() return false end,
})

--- A new run: 1 id, 2 workflow, 3 version, 4 pinned, 5 queue, 6 priority, 7 key, 8 dedup, 9 due,
-- 10 input, 11 parent, 12 created, 13 epoch. Of one that is there already nothing is written.
ops.start = new({ "text", "text", "integer", "integer", "text", "integer", "text", "text", "real",
  "bytes", "text", "real", "integer" }, {
  statement = function(engine, rows)
    return engine.sql("INSERT INTO moonlet_runs (id, workflow, version, pinned, queue, priority,"
      .. " key, dedup, due, input, parent, created, epoch, status) SELECT v.column1, v.column2,"
      .. " v.column3, v.column4, v.column5, v.column6, v.column7, v.column8, v.column9,"
      .. " v.column10, v.column11, v.column12, v.column13, 'queued' FROM "
      .. engine.values(rows, ops.start.types)
      .. " WHERE v.column1 IS NOT NULL ON CONFLICT DO NOTHING")
  end,
  is_written = function() return false end,
})

--- A suspended run is to be claimed: 1 id, 2 now.
ops.wake = new({ "text", "real" }, {
  statement = function(engine, rows)
    return engine.sql("UPDATE moonlet_runs SET due = v.column2 FROM "
      .. engine.values(rows, ops.wake.types) .. " WHERE moonlet_runs.id = v.column1"
      .. " AND moonlet_runs.status = 'queued' AND moonlet_runs.waits IS NOT NULL"
      .. " AND moonlet_runs.due > v.column2")
  end,
  is_written = function() return true end,
})

return ops
