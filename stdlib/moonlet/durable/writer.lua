--- Group commit: what many runs write at the same time goes into one transaction. A kind of write
-- (an "op") has
--
-- - `columns`, `types`: how many parameters a row has, and of which types;
-- - `statement(engine, rows)`: the statement that writes so many rows;
-- - `is_written(db, item)`: asks whether one row was written, after a statement that wrote fewer.
-- @module moonlet.durable.writer

local pcall, setmetatable = pcall, setmetatable
local min = math.min
local unpack = table.unpack

local crash = require "moonlet.durable.crash"
local sync = require "moonlet.sync"
local task = require "moonlet.task"

local writer = {}

local Writer = {}
Writer.__index = Writer

-- So many rows are taken into one transaction. While the database writes them the other tasks go
-- on to what they write next: more rows in one would have both wait for each other in turn.
local MOST = 512

-- So many that wait are worth a transaction at once; with fewer, those are waited for that can run.
local ENOUGH = 64

-- The first and the last pause between two tries while the database refuses, in seconds.
local SHORTEST, LONGEST = 0.02, 1

--- Makes a writer. on_trouble(message): called once when the database begins to refuse.
function writer.new(db, engine, on_trouble)
  return setmetatable({ db = db, engine = engine, statements = {}, pending = {},
    batch = sync.event(), on_trouble = on_trouble }, Writer)
end

local function statement_of(self, op, rows)
  local made = self.statements[op]
  if not made then
    made = {}
    self.statements[op] = made
  end
  if not made[rows] then made[rows] = op.statement(self.engine, rows) end
  return made[rows]
end

--- Writes one row within a transaction.
-- @treturn boolean whether it was written; or nil, message, code
function Writer:within(tx, op, item)
  local count, message, code = tx:execute(statement_of(self, op, 1), unpack(item, 1, op.columns))
  if not count then return nil, message, code end
  return count == 1
end

-- The smallest number of rows for which there is a statement, and that has room.
local function size_for(sizes, count)
  for i = 1, #sizes do
    if sizes[i] >= count then return sizes[i] end
  end
  return sizes[#sizes]
end

-- Parameters of items first to last; the rest of the rows is NULL, and writes nothing.
local function parameters(op, items, first, last, rows)
  local list, at, columns = {}, 0, op.columns
  for i = first, last do
    local item = items[i]
    for column = 1, columns do list[at + column] = item[column] end
    at = at + columns
  end
  return list, rows * columns
end

local function write_rows(self, db, op, items, first, last)
  local rows = size_for(self.engine.sizes, last - first + 1)
  local list, count = parameters(op, items, first, last, rows)
  local changed, message, code = db:execute(statement_of(self, op, rows), unpack(list, 1, count))
  if not changed then return nil, message, code end
  local all = changed == last - first + 1
  for i = first, last do items[i].written = all or nil end
  return true
end

-- Writes all items of one kind.
local function write_kind(self, db, op, items)
  local most = self.engine.sizes[#self.engine.sizes]
  for first = 1, #items, most do
    local ok, message, code = write_rows(self, db, op, items, first, min(#items, first + most - 1))
    if not ok then return nil, message, code end
  end
  return true
end

-- Items by kind, the kinds in the order of their first items.
local function by_kind(items)
  local kinds, lists = {}, {}
  for i = 1, #items do
    local op = items[i].op
    if not lists[op] then
      lists[op] = {}
      kinds[#kinds + 1] = op
    end
    lists[op][#lists[op] + 1] = items[i]
  end
  return kinds, lists
end

local function write_all(self, kinds, lists)
  if #kinds == 1 and #lists[kinds[1]] <= self.engine.sizes[#self.engine.sizes] then
    return write_kind(self, self.db, kinds[1], lists[kinds[1]])
  end
  return self.db:transaction(function(tx)
    for i = 1, #kinds do
      local ok, message, code = write_kind(self, tx, kinds[i], lists[kinds[i]])
      if not ok then return nil, message, code end
    end
    return true
  end)
end

-- Looks which items were written, where a statement wrote fewer rows than it had.
local function resolve(self, items)
  for i = 1, #items do
    local item = items[i]
    if item.written == nil then
      local found, message, code = item.op.is_written(self.db, self.engine, item)
      if found == nil then return nil, message, code end
      item.written = found
    end
  end
  return true
end

local function commit(self, items)
  local number = crash.before()
  local ok, message, code = write_all(self, by_kind(items))
  if ok then
    crash.after(number)
    ok, message, code = resolve(self, items)
  end
  return ok, message, code
end

-- Commits until it succeeds, or fails for good.
local function persist(self, items)
  local pause = SHORTEST
  while true do
    local called, ok, message, code = pcall(commit, self, items)
    if not called then return nil, ok, "EFAILED" end
    if ok then
      self.is_troubled = false
      return true
    end
    if self.is_closed or not self.engine.is_transient(code) then return nil, message, code end
    if not self.is_troubled then self.on_trouble(message) end
    self.is_troubled = true
    task.sleep(pause)
    pause = min(pause * 2, LONGEST)
  end
end

local function fail(items, message, code)
  for i = 1, #items do
    local item = items[i]
    if item.written == nil then item.message, item.code = message, code end
  end
end

-- One bad row must not take the others with it.
local function write_batch(self, items)
  local ok, message, code = persist(self, items)
  if ok then return end
  if #items == 1 then return fail(items, message, code) end
  for i = 1, #items do
    local one = { items[i] }
    items[i].written = nil
    ok, message, code = persist(self, one)
    if not ok then fail(one, message, code) end
  end
end

local function take(self)
  local items, event = self.pending, self.batch
  if #items > MOST then
    local rest = {}
    for i = MOST + 1, #items do
      rest[#rest + 1] = items[i]
      items[i] = nil
    end
    local later = sync.event()
    for i = 1, #rest do rest[i].event = later end
    self.pending, self.batch = rest, later
  else
    self.pending, self.batch = {}, sync.event()
  end
  return items, event
end

-- Runs while there is something to write, in a task of its own: none that waits for its row can be
-- cancelled in the middle of the others'.
local function flush(self)
  while #self.pending > 0 do
    if #self.pending < ENOUGH then task.yield() end -- all that are ready to write do
    local items, event = take(self)
    write_batch(self, items)
    event:set()
  end
  self.is_flushing = false
end

local function begin_flush(self)
  self.is_flushing = true
  task.spawn({ daemon = true, name = "durable writer" }, flush, self)
end

-- A task that writes its own row: those that came meanwhile are written by another.
local Direct = {}

function Direct:__close()
  local owner = self.writer
  owner.is_flushing = false
  if #owner.pending > 0 then begin_flush(owner) end
end

-- Nobody else writes: the task need not wait for others. If it is cancelled the row may be written
-- or not, as it was its last one.
local function write_directly(self, op, item)
  self.is_flushing = true
  local _ <close> = setmetatable({ writer = self }, Direct)
  item.op, item.written = op, nil
  write_batch(self, { item })
end

--- Adds a row to the next transaction, without waiting.
-- @tparam table op
-- @tparam table item the parameters; `event` is set when it is written
function Writer:add(op, item)
  item.op, item.event, item.written = op, self.batch, nil
  self.pending[#self.pending + 1] = item
  if not self.is_flushing then begin_flush(self) end
  return item
end

--- Writes a row in the next transaction; waits for it.
-- @treturn boolean whether it was written: false, its condition did not hold; or nil, message, code
function Writer:put(op, item)
  if self.is_flushing then
    self:add(op, item)
  else
    write_directly(self, op, item)
  end
  while item.written == nil and not item.message do item.event:wait() end
  if item.message then return nil, item.message, item.code end
  return item.written
end

--- Does something else that writes, alone.
function Writer.alone(_, fn, ...)
  local number = crash.before()
  local first, second, third = fn(...)
  crash.after(number)
  return first, second, third
end

return writer
