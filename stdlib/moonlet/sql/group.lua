--- Group commit: statements of several tasks that write, each a transaction of its own, share one
-- commit when they come while another one commits. Each has its own result, and a failure of one
-- undoes no other.
-- @module moonlet.sql.group

local error, ipairs, pcall, setmetatable = error, ipairs, pcall, setmetatable
local table_pack, table_unpack = table.pack, table.unpack

local sync = require "moonlet.sync"
local task = require "moonlet.task"

local group = {}

local Group = {}
Group.__index = Group

-- The most statements that share a commit.
local MOST = 256

-- How long a rollback may take, in seconds, in a task that is cancelled.
local PATIENCE = 5

--- Makes one for a database. persist(db, fn, ...): calls fn again while the database is busy.
function group.new(db, persist)
  return setmetatable({ db = db, persist = persist, waiting = {}, is_led = false }, Group)
end

local GROUPED = { insert = true, replace = true, update = true, delete = true }

--- Whether a statement can share a transaction with others: VACUUM and some of PRAGMA cannot.
function group.takes(sql)
  local word = sql:match "^%s*(%a+)"
  return word ~= nil and GROUPED[word:lower()] or false
end

-- ---- one statement of a task ----

local Item = {}

-- Its task has its result, or is cancelled: then another one leads, if it was this one's turn.
function Item:__close()
  self.is_gone = true
  if self.leads then self.group:pass_on() end
end

-- The next task that waits leads; none does: the next that comes.
function Group:pass_on()
  local waiting, kept = self.waiting, {}
  for i = 1, #waiting do
    if not waiting[i].is_gone then kept[#kept + 1] = waiting[i] end
  end
  self.waiting, self.is_led = kept, kept[1] ~= nil
  if kept[1] then
    kept[1].leads = true
    kept[1].event:set()
  end
end

-- Takes those whose turn it is, the leader's first.
local function take_turn(self)
  local taken, waiting, left = {}, self.waiting, {}
  for i = 1, #waiting do
    local list = #taken == MOST and left or taken
    if not waiting[i].is_gone then list[#list + 1] = waiting[i] end
  end
  self.waiting = left
  return taken
end

-- Those of a turn without a result go back, before those that have come since.
local Turn = {}

function Turn:__close()
  local waiting = {}
  for _, list in ipairs { self.items, self.group.waiting } do
    for i = 1, #list do
      if not list[i].results then waiting[#waiting + 1] = list[i] end
    end
  end
  self.group.waiting = waiting
end

-- ---- on the connection ----

-- What pcall makes of its statement; a cancellation passes.
local function run(self, item, connection, retries)
  local method, args = connection[item.method], item.args
  if retries then
    return table_pack(pcall(self.persist, self.db, method, connection, item.how, item.sql,
      table_unpack(args, 1, args.n)))
  end
  return table_pack(pcall(method, connection, item.how, item.sql, table_unpack(args, 1, args.n)))
end

local function finish(item, results)
  item.results = results
  item.event:set()
end

-- Undoes a transaction that was not committed.
local Open = {}

function Open:__close()
  if self.connection then task.shield(PATIENCE, self.engine.rollback, self.connection) end
end

local function same_failure(items, message, code)
  local results = {}
  for i = 1, #items do results[i] = { true, nil, message, code } end
  return results
end

-- Runs all in one transaction: a list of their results; nil: it was undone.
local function run_together(self, items, connection)
  local engine, results = self.db.engine, {}
  local open <close> = setmetatable({ engine = engine, connection = connection }, Open)
  local ok, message, code = self.persist(self.db, engine.begin, connection)
  if not ok then return same_failure(items, message, code) end
  for i = 1, #items do
    results[i] = run(self, items[i], connection, false)
    if not connection:in_transaction() then return nil end
  end
  if not self.persist(self.db, engine.commit, connection) then return nil end
  open.connection = false
  return results
end

-- One after the other: each failure is that of its own statement.
local function run_alone(self, items, connection)
  for i = 1, #items do
    if not items[i].is_gone then finish(items[i], run(self, items[i], connection, true)) end
  end
end

local function run_turn(self, items, connection)
  local _ <close> = setmetatable({ group = self, items = items }, Turn)
  local results = items[2] and run_together(self, items, connection)
  if not results then return run_alone(self, items, connection) end
  for i = 1, #items do finish(items[i], results[i]) end
end

-- Leads: waits for the connection, while others come, and runs what there is.
local function lead(self, item)
  local loan <close>, message, code = self.db.writer:take()
  if not loan then
    item.results = { true, nil, message, code, n = 4 }
    return
  end
  run_turn(self, take_turn(self), loan.connection)
end

local function results_of(item)
  local results = item.results
  if not results[1] then error(results[2], 0) end
  return results[2], results[3], results[4]
end

--- Calls the method of a connection with a statement, in a transaction that others may share.
function Group:call(method, how, sql, ...)
  local item <close> = setmetatable({
    group = self, method = method, how = how, sql = sql, args = table_pack(...), results = false,
    event = sync.event(), leads = not self.is_led, is_gone = false,
  }, Item)
  self.waiting[#self.waiting + 1] = item
  self.is_led = true
  if not item.leads then item.event:wait() end
  if not item.results then lead(self, item) end
  return results_of(item)
end

return group
