--- Random programs, run by moonlet and by the oracle side by side: each call's results are compared, and
-- whether it let others run. A program is a function of its seed alone.

local task = require "moonlet.task"
local channel = require "moonlet.channel"
local queue = require "moonlet.queue"
local sync = require "moonlet.sync"
local test = require "moonlet.test"
local oracle = require "oracle"
local ledger = require "ledger"

local program = {}

-- Most tasks at a time, most blocks within blocks, and the ticks (seconds of the virtual clock) after which
-- most of those that are left wait for each other.
local MOST_ACTORS, MOST_DEPTH, TICKS = 12, 4, 50
-- Ticks within which every task must end once it was cancelled.
local PATIENCE = 1000000

local random = math.random
local pack = table.pack

local world -- of the program that runs

-- ---- telling ----

local function text_of(results)
  if results == oracle.RAISES then return "a cancellation" end
  local texts = {}
  for i = 1, 4 do
    local value = results[i]
    texts[i] = value == oracle.ANY and "(any)" or type(value) == "table" and "(table)" or tostring(value)
  end
  return table.concat(texts, ", ")
end

local function fail(text)
  program.on_failure(("seed %d, step %d, tick %d: %s"):format(world.seed, world.steps, oracle.now, text))
end

local function trace(actor, ...)
  if program.is_traced then print(world.steps, "t=" .. oracle.now, "#" .. actor.number, ...) end
end

local function name_of(object) return object.kind .. (object.number or "") end

-- ---- running a call ----

-- Time has passed or other tasks have run, if the call waited.
local function look_at_clock()
  oracle.now = math.floor(task.now() - world.start + 0.5)
end

local function agree(expected, results)
  if expected == oracle.RAISES then
    return not results[1] and task.is_cancellation(results[2])
  end
  if not results[1] then return false end
  for i = 1, 4 do
    local value, got = expected[i], results[i + 1]
    if value == oracle.ANY and got == nil or value ~= oracle.ANY and value ~= got then return false end
  end
  return true
end

local function compare(actor, what, expected, results)
  trace(actor, what, "->", text_of(expected))
  if agree(expected, results) then return end
  fail(("task #%d: %s: expected %s; got %s"):format(actor.number, what, text_of(expected),
    results[1] and text_of { table.unpack(results, 2, 5) } or "the error " .. tostring(results[2])))
end

-- A wake-up of a join is a hint: one that was cancelled may still find the other at its end.
local function is_late_join(call, results)
  return call.state == "cancelled" and call.operation == oracle.operations.actor.join
    and results[1] and results[2] == call.object.outcome[1]
end

-- Compares what a call that has returned did with what it had to do. turn: how often tasks had gone on before
-- it. Returns the cancellation that it raised, if it did; else nil and the results.
local function conclude(actor, what, expected, call, finish, turn, results)
  if call then
    world.turn = world.turn + 1
    look_at_clock()
    expected = finish(call)
    if not expected then fail(("task #%d: %s did not wait"):format(actor.number, what)) end
    if is_late_join(call, results) then expected = call.object.outcome end
  elseif world.turn ~= turn then
    fail(("task #%d: others ran during %s"):format(actor.number, what))
  end
  compare(actor, what, expected, results)
  if expected == oracle.RAISES then return results[2] end
  return nil, table.unpack(results, 2, 4)
end

local function enter_in_ledger(object, name, value, ok, result)
  if name == "put" then
    world.ledger:offer(value, object, ok and result == true)
  elseif name == "get" and ok and result ~= nil then
    world.ledger:take(result, object)
  elseif (name == "acquire" or name == "hold") and ok and result then
    world.ledger:count_permits(object, -1)
  end
end

local function what_of(object, name, value, timeout)
  return ("%s:%s(%s%s)"):format(name_of(object), name, value and value .. ", " or "", tostring(timeout))
end

-- Calls a method of an object. Returns the cancellation that it raised; or nil and the results.
local function perform(actor, object, name, value, timeout)
  local operation, real = oracle.operations[object.kind][name], object.real
  world.steps = world.steps + 1
  local expected, call = oracle.begin(actor, operation, object, value, timeout)
  local what, turn = what_of(object, name, value, timeout), world.turn
  trace(actor, what)
  local results
  if operation.takes_value then
    results = pack(task.pcall(real[name], real, value, timeout))
  else
    results = pack(task.pcall(real[name], real, timeout))
  end
  enter_in_ledger(object, name, value, results[1], results[2])
  return conclude(actor, what, expected, call, oracle.finish, turn, results)
end

-- nil: no limit; 0: must not wait.
local function random_timeout()
  local dice = random(20)
  if dice <= 6 then return nil end
  return dice <= 9 and 0 or random(8)
end

local function pick(list) return list[random(#list)] end

-- ---- steps: each returns the cancellation that was raised, if one was ----

local steps = {}
local run_block

function steps.channel_get(actor)
  return (perform(actor, pick(world.channels), "get", nil, random_timeout()))
end

function steps.channel_put(actor)
  return (perform(actor, pick(world.channels), "put", world.ledger:new_item(), random_timeout()))
end

function steps.queue_get(actor)
  local object = pick(world.queues)
  local err, value = perform(actor, object, "get", nil, random_timeout())
  if value ~= nil and random(4) > 1 then
    object.real:task_done()
    object:task_done()
  end
  return err
end

function steps.queue_put(actor)
  return (perform(actor, pick(world.queues), "put", world.ledger:new_item(), random_timeout()))
end

function steps.queue_peek(actor)
  return (perform(actor, pick(world.queues), "peek", nil, random_timeout()))
end

function steps.queue_join(actor)
  return (perform(actor, pick(world.queues), "join", nil, random_timeout()))
end

function steps.acquire(actor)
  return (perform(actor, pick(world.semaphores), "acquire", nil, random_timeout()))
end

local function release(object)
  world.ledger:count_permits(object, 1)
  object:release()
end

function steps.release()
  local object = pick(world.semaphores)
  object.real:release()
  release(object)
end

local function on_close(fn) return setmetatable({}, { __close = fn }) end

function steps.hold(actor, depth)
  local object = pick(world.semaphores)
  local err, permit = perform(actor, object, "hold", nil, random_timeout())
  if not permit then return err end
  local real <close> = permit
  local model <close> = on_close(function() release(object) end)
  run_block(actor, depth)
end

function steps.lock(actor, depth)
  local object = pick(world.mutexes)
  if object.owner == actor then return end
  local err, guard
  if random(4) > 1 then
    err, guard = perform(actor, object, "lock", nil, random_timeout())
  else
    err, guard = perform(actor, object, "try_lock")
    guard = guard and object.real
  end
  if not guard then return err end
  world.ledger:enter(object, actor)
  if random(50) == 1 then return end -- forgotten: unlocked when the task ends
  local real <close> = guard
  local model <close> = on_close(function()
    world.ledger:leave(object)
    object:unlock()
  end)
  run_block(actor, depth)
end

function steps.event_wait(actor)
  return (perform(actor, pick(world.events), "wait", nil, random_timeout()))
end

function steps.event_change()
  local object, name = pick(world.events), random(2) == 1 and "set" or "clear"
  object.real[name](object.real)
  object[name](object)
end

function steps.sleep(actor)
  return (perform(actor, world.clock, "sleep", nil, random(8)))
end

function steps.yield(actor)
  world.steps = world.steps + 1
  local is_cut = actor:is_cut()
  local results = pack(task.pcall(task.yield))
  world.turn = world.turn + 1
  look_at_clock()
  compare(actor, "yield", is_cut and oracle.RAISES or {}, results)
  return not results[1] and results[2] or nil
end

function steps.join(actor)
  local other = pick(world.actors)
  if other == actor then return end
  return (perform(actor, other, "join", nil, random_timeout()))
end

function steps.cancel(actor)
  local other = pick(world.actors)
  trace(actor, "cancel", "#" .. other.number)
  other.real:cancel()
  other:cancel()
end

function steps.close(actor)
  if random(25) > 1 then return end -- what is closed tests little else
  local object = pick(world[pick { "channels", "queues", "semaphores" }])
  trace(actor, "close", name_of(object))
  object.real:close()
  object:close()
end

-- A call with a time limit, or in a shield, of a block of steps.
function steps.limit(actor, depth)
  local is_shield = random(4) == 1
  local seconds = random(12)
  if random(10) == 1 then seconds = 0 end
  if random(10) == 1 and not is_shield then seconds = nil end
  local name = is_shield and "shield" or "timeout"
  local result, has_ended = random(100), false
  trace(actor, name, seconds, "{")
  actor:open_scope(seconds, is_shield)
  local results = pack(task.pcall(task[name], seconds, function()
    run_block(actor, depth)
    has_ended = true
    return result
  end))
  local is_over = actor:close_scope().due <= oracle.now
  local expected
  if has_ended then
    expected = { result }
  elseif actor:is_cut() then
    expected = oracle.RAISES
  elseif is_over then
    expected = oracle.DEADLINE
  else -- the error of a block that failed
    error(results[2], 0)
  end
  compare(actor, "} " .. name, expected, results)
  return expected == oracle.RAISES and results[2] or nil
end

-- ---- select ----

local function case_of(name)
  if name == "get" then return { object = pick(world.channels), name = name } end
  if name == "put" then
    return { object = pick(world.channels), name = name, value = world.ledger:new_item() }
  end
  if name == "take" then return { object = pick(world.queues), name = "get" } end
  if name == "acquire" then return { object = pick(world.semaphores), name = name } end
  if name == "wait" then return { object = pick(world.events), name = name } end
  return { object = pick(world.actors), name = name }
end

local function random_cases()
  local cases, reals = {}, {}
  for i = 1, random(4) do
    local case = case_of(pick { "get", "put", "get", "put", "take", "take", "acquire", "wait", "join" })
    cases[i], reals[i] = case, { case.object.real, case.name, case.value }
  end
  return cases, reals
end

local function select_in_ledger(cases, results)
  local ok, number, result = table.unpack(results, 1, 3)
  for i, case in ipairs(cases) do
    local is_done = ok and i == number
    enter_in_ledger(case.object, case.name, case.value, is_done, is_done and result or nil)
  end
end

function steps.select(actor)
  world.steps = world.steps + 1
  local cases, reals = random_cases()
  local timeout = random_timeout()
  reals.timeout, reals.default = timeout, random(8) == 1 and "nothing" or nil
  local expected, call, possible = oracle.begin_select(actor, cases, timeout, reals.default)
  local turn = world.turn
  trace(actor, "select", #cases, timeout)
  local results = pack(task.pcall(channel.select, reals))
  select_in_ledger(cases, results)
  if possible then
    if not possible[results[2]] then fail "select did what could not be done, or nothing" end
    expected = oracle.do_case(actor, cases, results[2])
  end
  local function finish(ended) return oracle.finish_select(ended, cases) end
  return (conclude(actor, "select", expected, call, finish, turn, results))
end

-- ---- what can be seen without changing anything ----

local function same(actor, what, expected, got)
  if expected ~= got then
    fail(("task #%d: %s is %s, not %s"):format(actor.number, what, tostring(got), tostring(expected)))
  end
end

function steps.look(actor)
  local ch, q, sem, event = pick(world.channels), pick(world.queues), pick(world.semaphores),
    pick(world.events)
  same(actor, "#channel", ch:length(), #ch.real)
  same(actor, "channel:balance()", ch:balance(), ch.real:balance())
  same(actor, "#queue", q:length(), #q.real)
  same(actor, "#semaphore", sem:length(), #sem.real)
  same(actor, "event:is_set()", event.is_set, event.real:is_set())
end

-- ---- programs ----

-- How often each step is chosen, beside the others.
local weights = { channel_get = 12, channel_put = 12, queue_get = 8, queue_put = 8, queue_peek = 2,
  queue_join = 1, acquire = 6, release = 5, hold = 4, lock = 6, event_wait = 4, event_change = 4,
  sleep = 4, yield = 6, join = 2, cancel = 2, close = 1, limit = 8, select = 12, look = 4, spawn = 3,
  oops = 1 }

local chances = {}
for name, weight in pairs(weights) do
  for _ = 1, weight do chances[#chances + 1] = name end
end
table.sort(chances)

-- Runs some steps. A cancellation is passed on, or swallowed: then each further call that may wait raises again.
function run_block(actor, depth)
  for _ = 1, depth == 0 and random(5, 60) or random(6) do
    if world.is_ending and random(3) == 1 then return end
    local name = pick(chances)
    if depth < MOST_DEPTH or not (name == "limit" or name == "lock" or name == "hold") then
      local err = steps[name](actor, depth + 1)
      if err then
        local dice = random(10)
        if dice <= 6 then error(err, 0) end
        if dice <= 9 then return end
      end
    end
  end
end

-- An error of the program's own: where a cancellation would take its place it is not raised.
function steps.oops(actor)
  if random(10) > 1 or actor:is_cut() or #actor.scopes > 0 and actor:is_shielded() then return end
  error(actor.oops, 0)
end

local function run_actor(actor)
  world.turn = world.turn + 1
  look_at_clock()
  trace(actor, "begins")
  if actor.is_cancelled then fail(("task #%d ran, though it was cancelled before"):format(actor.number)) end
  actor.has_begun = true
  local ok, err = task.pcall(run_block, actor, 0)
  trace(actor, "ends", ok, err)
  if ok then
    actor.result = { true, actor.number }
    return actor.number
  end
  if err == actor.oops then
    actor.result = { nil, err, "EFAILED" }
  elseif not (task.is_cancellation(err) and actor.is_cancelled) then
    fail(("task #%d: %s"):format(actor.number, tostring(err)))
  end
  error(err, 0)
end

local function end_actor(actor)
  if not actor.has_begun and not actor.is_cancelled then
    fail(("task #%d ended without having run"):format(actor.number))
  end
  for mutex in pairs(actor.held) do world.ledger:leave(mutex) end
  actor:finish()
  world.alive = world.alive - 1
end

function steps.spawn()
  if world.alive >= MOST_ACTORS then return end
  local actor = oracle.actor(#world.actors + 1)
  actor.oops = "oops " .. actor.number
  world.actors[actor.number], world.alive = actor, world.alive + 1
  actor.real = task.spawn({ quiet = true }, run_actor, actor)
  actor.real:on_exit(function() end_actor(actor) end)
end

-- ---- a world of things to share ----

local function make(list, count, create)
  for i = 1, count do
    local object = create()
    object.number = i
    list[i] = object
  end
  return list
end

local function new_channel()
  local object = oracle.channel(pick { 0, 0, 1, 2, 5 })
  object.real = channel.new(object.capacity)
  return object
end

local function new_queue()
  local order, capacity = pick { "fifo", "lifo", "priority" }, pick { 1, 2, 4, false } or nil
  local object = oracle.queue(order, capacity)
  object.real = queue.new { order = order, capacity = capacity }
  return object
end

local function new_semaphore()
  local object = oracle.semaphore(random(0, 3))
  object.real = sync.semaphore(object.permits)
  world.ledger:count_permits(object, object.permits)
  return object
end

local function new_of(name)
  return function()
    local object = oracle[name]()
    object.real = sync[name]()
    return object
  end
end

-- select begins with another case each time: brings that to the same place for each program.
local function align_select()
  local event, cases, COMMON_MULTIPLE = sync.event(), {}, 12
  event:set()
  for i = 1, COMMON_MULTIPLE do cases[i] = { event, "wait" } end
  for _ = 1, COMMON_MULTIPLE do
    if channel.select(cases) == COMMON_MULTIPLE then return end
  end
end

local function new_world(seed)
  math.randomseed(seed)
  test.shuffle(seed)
  align_select()
  world = { seed = seed, steps = 0, turn = 0, alive = 0, actors = {}, ledger = ledger.new(fail),
    start = task.now(), clock = { kind = "clock", real = { sleep = function(_, s) task.sleep(s) end } } }
  oracle.now = 0
  world.channels = make({}, random(3), new_channel)
  world.queues = make({}, random(2), new_queue)
  world.semaphores = make({}, random(2), new_semaphore)
  world.mutexes = make({}, random(2), new_of "mutex")
  world.events = make({}, random(2), new_of "event")
end

-- ---- the end ----

local function each_object(fn)
  for _, list in ipairs { "channels", "queues", "semaphores" } do
    for _, object in ipairs(world[list]) do fn(object) end
  end
end

local function close(object)
  object.real:close()
  object:close()
end

local function cancel_all()
  look_at_clock()
  for _, actor in ipairs(world.actors) do
    actor.real:cancel()
    actor:cancel()
  end
end

-- Gets those moving again who wait for each other.
local function stir()
  look_at_clock()
  for _, actor in ipairs(world.actors) do
    if not actor.outcome and random(3) == 1 then
      actor.real:cancel()
      actor:cancel()
    end
  end
  for _ = 1, random(4) do steps.spawn() end
end

-- Brings what is left to its end: sometimes gently.
local function wind_up()
  look_at_clock()
  world.is_ending = true
  if random(2) == 1 then
    each_object(close)
    task.sleep(TICKS)
  end
  while world.alive > 0 and oracle.now < PATIENCE do
    cancel_all()
    task.sleep(TICKS)
    look_at_clock()
  end
end

local function check_actors()
  for _, actor in ipairs(world.actors) do
    local results = pack(actor.real:join(0))
    table.insert(results, 1, true)
    if not (actor.outcome and agree(actor.outcome, results)) then
      fail(("task #%d should have ended with %s, not %s"):format(actor.number,
        text_of(actor.outcome or {}), text_of { table.unpack(results, 2, 4) }))
    end
  end
end

-- Takes out what an object holds, one after the other, and compares.
local function drain(object, name)
  local nobody = oracle.actor(0)
  repeat
    local _, value = perform(nobody, object, name, nil, 0)
  until value == nil
end

local function check_world()
  for _, object in ipairs(world.channels) do drain(object, "get") end
  for _, object in ipairs(world.queues) do drain(object, "get") end
  for _, object in ipairs(world.semaphores) do
    world.ledger:check_permits(object, #object.real)
    drain(object, "acquire")
  end
  world.ledger:check_items()
  for _, object in ipairs(world.mutexes) do
    if not object.real:try_lock() then fail "a mutex is locked, and everybody has ended" end
    object.real:unlock()
  end
end

--- Runs the program of a seed.
-- @tparam integer seed
-- @treturn integer how many calls it made
function program.run(seed)
  new_world(seed)
  for _ = 1, random(3, 8) do steps.spawn() end
  for _ = 1, random(8) do
    task.sleep(TICKS)
    stir()
  end
  wind_up()
  check_actors()
  check_world()
  test.shuffle(nil)
  return world.steps
end

return program
