--- What the calls of moonlet must do, said plainly: no tasks, no switches, one call after the other.
-- Knows nothing of moonlet. A call begins: it is done at once, or its caller gets in line; then another
-- call serves it, or its time is over, or somebody cancels its caller. Times are whole ticks.

local oracle = {}

--- The time; set by whoever runs the calls.
oracle.now = 0

-- What a call returns, as a list; RAISES: it raises a cancellation instead. ANY: any value but nil.
local ANY = {}
local RAISES, NOTHING, TRUE, FALSE = {}, {}, { true }, { false }
local TIMEOUT = { nil, "timeout", "ETIMEDOUT" }
local CLOSED = { nil, "closed", "CLOSED" }
local DEADLINE = { nil, "deadline passed", "EDEADLINE" }
local CANCELLED = { nil, "cancelled", "ECANCELED" }
oracle.ANY, oracle.RAISES, oracle.DEADLINE = ANY, RAISES, DEADLINE

-- ---- those who wait ----

local function is_waiting(call)
  return call.state == "waiting" and call.due > oracle.now
end

-- The first in line; those whose wait has ended otherwise are dropped.
local function first(line)
  while line[1] and not is_waiting(line[1].call) do table.remove(line, 1) end
  return line[1]
end

local function serve(entry, value, is_closed)
  local call = entry.call
  call.state, call.case, call.value, call.is_closed = "served", entry.case, value, is_closed
end

local function serve_all(line, value, is_closed)
  local entry = first(line)
  while entry do
    serve(entry, value, is_closed)
    entry = first(line)
  end
end

local function count_waiting(line)
  local count = 0
  for _, entry in ipairs(line) do
    if is_waiting(entry.call) then count = count + 1 end
  end
  return count
end

-- ---- channel ----

local Channel = {}
Channel.__index = Channel

function oracle.channel(capacity)
  return setmetatable({ kind = "channel", capacity = capacity, items = {}, getters = {},
    putters = {} }, Channel)
end

function Channel:try_get()
  local value = table.remove(self.items, 1)
  local putter = first(self.putters)
  if putter then
    serve(putter)
    if value ~= nil then table.insert(self.items, putter.value) else value = putter.value end
  end
  if value ~= nil then return { value } end
  return self.is_closed and CLOSED or nil
end

function Channel:try_put(value)
  if self.is_closed then return CLOSED end
  local getter = first(self.getters)
  if getter then
    serve(getter, value)
  elseif #self.items < self.capacity then
    table.insert(self.items, value)
  else
    return nil
  end
  return TRUE
end

function Channel:can_get()
  return #self.items > 0 or first(self.putters) ~= nil or self.is_closed
end

function Channel:can_put()
  return #self.items < self.capacity or first(self.getters) ~= nil or self.is_closed
end

function Channel:close()
  self.is_closed = true
  serve_all(self.getters, nil, true)
  serve_all(self.putters, nil, true)
end

function Channel:balance() return count_waiting(self.putters) - count_waiting(self.getters) end

function Channel:length() return #self.items end

-- ---- semaphore ----

local Semaphore = {}
Semaphore.__index = Semaphore

function oracle.semaphore(permits)
  return setmetatable({ kind = "semaphore", permits = permits, waiters = {} }, Semaphore)
end

function Semaphore:try()
  if self.permits > 0 then
    self.permits = self.permits - 1
    return TRUE
  end
  return self.is_closed and CLOSED or nil
end

function Semaphore:release()
  local entry = first(self.waiters)
  if entry then serve(entry) else self.permits = self.permits + 1 end
end

function Semaphore:close()
  self.is_closed = true
  serve_all(self.waiters, nil, true)
end

function Semaphore:length() return self.permits end

-- ---- mutex ----

local Mutex = {}
Mutex.__index = Mutex

function oracle.mutex()
  return setmetatable({ kind = "mutex", waiters = {} }, Mutex)
end

function Mutex:own(actor)
  self.owner = actor
  actor.held[self] = true
end

function Mutex:try(actor)
  if self.owner then return nil end
  self:own(actor)
  return { ANY }
end

function Mutex:unlock()
  self.owner.held[self] = nil
  self.owner = nil
  local entry = first(self.waiters)
  if entry then
    serve(entry)
    self:own(entry.call.actor)
  end
end

-- ---- event ----

local Event = {}
Event.__index = Event

function oracle.event()
  return setmetatable({ kind = "event", is_set = false, waiters = {} }, Event)
end

function Event:set()
  self.is_set = true
  serve_all(self.waiters)
end

function Event:clear() self.is_set = false end

-- ---- queue ----

local Queue = {}
Queue.__index = Queue

function oracle.queue(order, capacity)
  return setmetatable({ kind = "queue", order = order, items = {}, unfinished = 0,
    available = oracle.semaphore(0), room = oracle.semaphore(capacity or math.maxinteger), joiners = {},
  }, Queue)
end

-- Where the next value lies.
function Queue:next_index()
  if self.order == "fifo" then return 1 end
  if self.order == "lifo" then return #self.items end
  local best = 1
  for i, value in ipairs(self.items) do
    if value < self.items[best] then best = i end
  end
  return best
end

function Queue:try_room()
  return self.room:try()
end

-- There is room.
function Queue:add(value)
  if self.is_closed then return CLOSED end
  table.insert(self.items, value)
  self.unfinished = self.unfinished + 1
  self.available:release()
  return TRUE
end

-- One is there for the caller: which one is told when it goes on.
function Queue:take()
  self.room:release()
  return { table.remove(self.items, self:next_index()) }
end

function Queue:look()
  local value = self.items[self:next_index()]
  self.available:release()
  return { value }
end

function Queue:task_done()
  self.unfinished = self.unfinished - 1
  if self.unfinished == 0 then serve_all(self.joiners) end
end

function Queue:close()
  self.is_closed = true
  self.available:close()
  self.room:close()
end

function Queue:length() return #self.items end

-- ---- actors: what a task is to the model ----

local Actor = {}
Actor.__index = Actor

function oracle.actor(number)
  return setmetatable({ kind = "actor", number = number, scopes = {}, held = {}, joiners = {} },
    Actor)
end

function Actor:open_scope(seconds, is_shield)
  local due = seconds and seconds > 0 and oracle.now + seconds or seconds and -1 or math.huge
  table.insert(self.scopes, { due = due, is_shield = is_shield })
end

function Actor:close_scope() return table.remove(self.scopes) end

-- The nearest deadline in force.
function Actor:scope_due()
  local due = math.huge
  for i = #self.scopes, 1, -1 do
    due = math.min(due, self.scopes[i].due)
    if self.scopes[i].is_shield then return due end
  end
  return due
end

function Actor:is_shielded()
  for _, scope in ipairs(self.scopes) do
    if scope.is_shield then return true end
  end
  return false
end

--- Whether a call that may wait has to raise.
function Actor:is_cut()
  if self:scope_due() <= oracle.now then return true end
  return self.is_cancelled and not self:is_shielded() or false
end

function Actor:cancel()
  if self.outcome then return end
  self.is_cancelled = true
  if self.call and is_waiting(self.call) and not self:is_shielded() then
    self.call.state = "cancelled"
  end
end

--- It computes no more. Its locks are given on, those who wait for its end go on.
function Actor:finish()
  self.outcome = self.result or CANCELLED
  for mutex in pairs(self.held) do mutex:unlock() end
  serve_all(self.joiners)
end

-- ---- calls ----

-- What a served wait returns where it is not `true`; a call that is turned away gets CLOSED.
local function value_of(_, call) return { call.value } end

-- try: does it at once, and returns the results; nil: it must wait. line: where. served: the results of one
-- who was served.
oracle.operations = {
  channel = {
    get = { try = Channel.try_get, line = function(c) return c.getters end, served = value_of },
    put = { takes_value = true, line = function(c) return c.putters end,
      try = function(c, _, value) return c:try_put(value) end },
  },
  semaphore = {
    acquire = { try = Semaphore.try, line = function(s) return s.waiters end },
    hold = { line = function(s) return s.waiters end, served = function() return { ANY } end,
      try = function(s)
        local results = s:try()
        return results == TRUE and { ANY } or results
      end },
  },
  mutex = {
    lock = { try = Mutex.try, line = function(m) return m.waiters end,
      served = function() return { ANY } end },
    try_lock = { is_instant = true,
      try = function(m, actor) return m:try(actor) and TRUE or FALSE end },
  },
  event = {
    wait = { try = function(e) return e.is_set and TRUE or nil end,
      line = function(e) return e.waiters end },
  },
  queue = {
    put = { takes_value = true, line = function(q) return q.room.waiters end,
      try = function(q, _, value)
        local results = q:try_room()
        return results == TRUE and q:add(value) or results
      end,
      served = function(q, call) return q:add(call.offered) end },
    get = { line = function(q) return q.available.waiters end, served = Queue.take,
      try = function(q)
        local results = q.available:try()
        return results == TRUE and q:take() or results
      end },
    peek = { line = function(q) return q.available.waiters end, served = Queue.look,
      try = function(q)
        local results = q.available:try()
        return results == TRUE and q:look() or results
      end },
    join = { line = function(q) return q.joiners end,
      try = function(q) return q.unfinished == 0 and TRUE or nil end },
  },
  actor = {
    join = { line = function(a) return a.joiners end, served = function(a) return a.outcome end,
      try = function(a) return a.outcome end },
  },
  clock = {
    sleep = { try = function() end, late = NOTHING },
  },
}

local function new_call(actor, timeout)
  local own, scope_due = timeout and oracle.now + timeout or math.huge, actor:scope_due()
  return { actor = actor, own = own, scope_due = scope_due, due = math.min(own, scope_due),
    state = "waiting" }
end

--- Begins a call.
-- @return its results, if it does not wait; or nil and the call
function oracle.begin(actor, operation, object, value, timeout)
  local looks = timeout ~= 0 and not operation.is_instant
  if looks and actor:is_cut() then return RAISES end
  local results = operation.try(object, actor, value)
  if results then return results end
  if timeout == 0 then return TIMEOUT end
  local call = new_call(actor, timeout)
  call.operation, call.object, call.offered = operation, object, value
  if operation.line then table.insert(operation.line(object), { call = call, value = value }) end
  actor.call = call
  return nil, call
end

-- What a wait returns that nobody served; nil: it may not have ended.
local function unserved(call)
  if call.state == "cancelled" then return RAISES end
  if call.due > oracle.now then return nil end
  if call.own >= call.scope_due then return RAISES end
  return call.operation and call.operation.late or TIMEOUT
end

--- The results of a call that has waited, now that it has returned; nil: it had to wait still.
function oracle.finish(call)
  call.actor.call = nil
  if call.state ~= "served" then return unserved(call) end
  if call.is_closed then return CLOSED end
  local served = call.operation.served
  return served and served(call.object, call) or TRUE
end

-- ---- select ----

local function can_acquire(semaphore) return semaphore.permits > 0 or semaphore.is_closed end

local ready = {
  get = function(object)
    if object.kind == "queue" then return can_acquire(object.available) end
    return object:can_get()
  end,
  put = Channel.can_put, acquire = can_acquire,
  wait = function(event) return event.is_set end,
  join = function(actor) return actor.outcome ~= nil end,
}

-- The results of a case: its number before those of the call.
local function numbered(number, results)
  return { number, table.unpack(results, 1, 3) }
end

local function operation_of(case) return oracle.operations[case.object.kind][case.name] end

--- Begins a select: cases are {object=, name=, value=}.
-- @return its results, if it can do nothing at once and does not wait; or nil, and the call; nil, nil, and the
-- set of cases that can be done at once, if there are any
function oracle.begin_select(actor, cases, timeout, default)
  if timeout ~= 0 and default == nil and actor:is_cut() then return RAISES end
  local possible = {}
  for i, case in ipairs(cases) do
    if ready[case.name](case.object) then possible[i] = true end
  end
  if next(possible) then return nil, nil, possible end
  if default ~= nil then return { "default", default } end
  if timeout == 0 then return TIMEOUT end
  local call = new_call(actor, timeout)
  for i, case in ipairs(cases) do
    table.insert(operation_of(case).line(case.object), { call = call, value = case.value, case = i })
  end
  actor.call = call
  return nil, call
end

--- Does a case of a select that can be done at once.
-- @return the select's results
function oracle.do_case(actor, cases, number)
  local case = cases[number]
  return numbered(number, operation_of(case).try(case.object, actor, case.value))
end

--- The results of a select that has waited; nil: it had to wait still.
function oracle.finish_select(call, cases)
  call.actor.call = nil
  if call.state ~= "served" then return unserved(call) end
  if call.is_closed then return numbered(call.case, CLOSED) end
  local case = cases[call.case]
  local served = operation_of(case).served
  return numbered(call.case, served and served(case.object, call) or TRUE)
end

return oracle
