-- The text of a trace in Perfetto's format: JSON trace events, which ui.perfetto.dev and
-- chrome://tracing open. Needs nothing of the runtime that was traced: what to write is a plain
-- table (runtime/bindings/inspect/trace_copy.h), so another runtime may do this.

local math_max, pairs = math.max, pairs
local string_byte, string_format, string_gsub = string.byte, string.format, string.gsub
local string_sub, string_unpack = string.sub, string.unpack
local table_concat, utf8_len = table.concat, utf8.len

local perfetto = {}

-- Records: see runtime/hub/state/trace.h.
local RECORD, LAYOUT, EVENT_OFFSET, NO_TASK = 16, "=I4BBI2I4I4", 4, 0xffffffff
local GAP, TEXT, SPAWN, RUN, SWITCH, PAUSE, WAKE, NAME, END = 1, 2, 3, 4, 5, 6, 7, 8, 9
local SPAN_BEGIN, SPAN_END, MARK, COLLECTED = 10, 11, 12, 13
local HTTP_BEGIN, HTTP_END, ERROR, DEADLINE = 14, 15, 16, 17

local causes = {"an event", "its deadline", "a cancellation"}

-- After so many records other tasks may run.
local SLICE = 128

-- ---- JSON ----

local escapes = {['"'] = '\\"', ["\\"] = "\\\\"}

local function escape(char)
  return escapes[char] or string_format("\\u%04x", string_byte(char))
end

-- With U+FFFD in place of each byte that is not UTF-8.
local function to_utf8(text)
  local parts, from = {}, 1
  while true do
    local length, bad = utf8_len(text, from)
    if length then break end
    parts[#parts + 1] = string_sub(text, from, bad - 1) .. "\u{FFFD}"
    from = bad + 1
  end
  return table_concat(parts) .. string_sub(text, from)
end

local function quote(text)
  if not utf8_len(text) then text = to_utf8(text) end
  return '"' .. string_gsub(text, '[%c"\\\127]', escape) .. '"'
end

-- ---- a trace that is read ----

-- Calls see(self, index, event, detail, more, slot, argument) for each record.
-- self.ticks: its time.
local function each_record(self, see)
  local records, rest = self.copy.records, self.rest
  local count, index = #records // RECORD, 0
  self.ticks = 0
  while index < count do
    local delta, event, detail, more, slot, argument =
      string_unpack(LAYOUT, records, index * RECORD + 1)
    index = index + 1
    if event == GAP then
      self.ticks = self.ticks + (argument << 32 | slot)
    elseif event ~= TEXT then
      self.ticks = self.ticks + delta
      see(self, index, event, detail, more, slot, argument)
      self.previous = self.ticks
    end
    if index % SLICE == 0 then rest() end
  end
end

-- The text behind record `index`; "" without one.
local function text_after(self, index)
  local records, parts = self.copy.records, {}
  local at = index * RECORD
  while string_byte(records, at + EVENT_OFFSET + 1) == TEXT do
    local size = string_byte(records, at + EVENT_OFFSET + 2)
    local bytes = string_sub(records, at + 1, at + 4) .. string_sub(records, at + 7, at + RECORD)
    parts[#parts + 1] = string_sub(bytes, 1, size)
    at = at + RECORD
  end
  return table_concat(parts)
end

-- ---- the first pass: which task had a slot when, which ends and runs have a begin ----

local function key_of(event, argument)
  return (event == HTTP_BEGIN or event == HTTP_END) and -1 - argument or argument
end

-- An end whose begin is older than the trace.
local function note_end(self, event, detail, more, slot, argument)
  local key = key_of(event, argument)
  if self.begun[key] then
    self.begun[key] = nil
    return
  end
  local earlier = self.earlier
  earlier[#earlier + 1] = {key = key, apart = detail ~= 0, name = more, slot = slot,
    nth = self.nth[slot] or 1, event = event}
end

local function survey(self, index, event, detail, more, slot, argument)
  if event == RUN or event == SWITCH then
    local woken = self.woken[slot]
    if woken then
      self.flows[woken], self.woken[slot] = true, nil
    end
  elseif (event == WAKE or event == SPAWN) and argument ~= NO_TASK and argument ~= slot then
    self.woken[slot] = index
  elseif event == NAME then
    self.ending[slot] = {name = text_after(self, index), line = self.copy.lines[more]}
  elseif event == END then
    local owners = self.owners[slot] or {}
    local task = self.ending[slot] or {name = ""}
    task.id = argument
    owners[#owners + 1], self.owners[slot], self.ending[slot] = task, owners, nil
    self.nth[slot], self.woken[slot] = #owners + 1, nil
  elseif event == SPAN_BEGIN or event == HTTP_BEGIN then
    self.begun[key_of(event, argument)] = true
  elseif event == SPAN_END or event == HTTP_END then
    note_end(self, event, detail, more, slot, argument)
  end
end

local function add_live_tasks(self)
  for slot, task in pairs(self.copy.tasks) do
    local owners = self.owners[slot] or {}
    owners[#owners + 1] = {id = task[1], name = task[2] or "", line = task[3]}
    self.owners[slot] = owners
  end
end

-- ---- writing ----

-- Microseconds. What lies before the trace is at its start.
local function stamp(self)
  return string_format("%.3f", (self.copy.started + self.ticks * self.copy.tick) / 1000)
end

local function put(self, format, ...)
  local out = self.out
  out[#out + 1] = string_format(format, ...)
end

local function title(task)
  if task.name ~= "" then return quote(task.name .. " #" .. task.id) end
  local line = task.line and task.line ~= "" and task.line ~= "?" and ", " .. task.line or ""
  return quote("task #" .. task.id .. line)
end

-- The task in a slot now: its id, title, open slices. nil: not known.
local function track_of(self, slot)
  local owners = self.owners[slot]
  local task = owners and owners[self.nth[slot] or 1]
  if not task then return nil end
  if not task.slices then
    task.slices, task.title = {}, title(task)
    put(self, '{"ph":"M","pid":2,"tid":%d,"name":"thread_name","args":{"name":%s}}',
      task.id, task.title)
  end
  return task
end

local function begin_slice(self, task, name, category)
  put(self, '{"ph":"B","pid":2,"tid":%d,"ts":%s,"cat":"%s","name":%s}', task.id, stamp(self),
    category, name)
end

local function end_slice(self, task, args)
  put(self, '{"ph":"E","pid":2,"tid":%d,"ts":%s%s}', task.id, stamp(self),
    args and ',"args":{' .. args .. "}" or "")
end

local function instant(self, task, name, category)
  put(self, '{"ph":"i","pid":2,"tid":%d,"ts":%s,"s":"t","cat":"%s","name":%s}', task.id,
    stamp(self), category, name)
end

-- What the task does not do itself, a wait, is a slice that nothing lies in.
local function set_leaf(self, task, name, category, args)
  if task.leaf then end_slice(self, task, args) end
  task.leaf = name
  if name then begin_slice(self, task, name, category) end
end

local function end_run(self, args)
  if not self.running then return end
  put(self, '{"ph":"E","pid":1,"tid":1,"ts":%s%s}', stamp(self),
    args and ',"args":{"then":' .. args .. "}" or "")
  self.running = nil
end

local function finish_flow(self, slot)
  local flow = self.flowing[slot]
  if not flow then return end
  self.flowing[slot] = nil
  put(self, '{"ph":"f","bp":"e","pid":1,"tid":1,"ts":%s,"id":%d,"cat":"wake","name":"wakes"}',
    stamp(self), flow)
end

local function run(self, slot)
  end_run(self)
  local task = track_of(self, slot)
  if not task then return end
  set_leaf(self, task, nil)
  put(self, '{"ph":"B","pid":1,"tid":1,"ts":%s,"cat":"run","name":%s}', stamp(self), task.title)
  self.running = task
  finish_flow(self, slot)
end

-- A task that has ended wakes others before the next one runs. Until then its slice lasts.
local function end_finished(self)
  local now = self.ticks
  self.finished, self.ticks = nil, self.previous
  end_run(self, '"ended"')
  self.ticks = now
end

-- The task that woke another.
local function waker_of(self, slot)
  if slot == NO_TASK then return nil end
  local finished = self.finished
  return finished and finished.slot == slot and finished or track_of(self, slot)
end

-- A task was woken or spawned by the one that runs: an arrow to its next run.
local function start_flow(self, index, slot)
  if not self.flows[index] or not self.running then return end
  self.flow_count = self.flow_count + 1
  self.flowing[slot] = self.flow_count
  put(self, '{"ph":"s","pid":1,"tid":1,"ts":%s,"id":%d,"cat":"wake","name":"wakes"}',
    stamp(self), self.flow_count)
end

local function reason(self, kind, on)
  local text = kind == 0 and "ready" or "waits for " .. (self.copy.kinds[kind] or "something")
  if on ~= 0 then text = text .. " " .. on end
  return quote(text)
end

local function pause(self, task, kind, on)
  local text = reason(self, kind, on)
  if self.running == task then end_run(self, text) end
  if task then set_leaf(self, task, text, kind == 0 and "ready" or "wait") end
end

-- ---- spans ----

local function span_name(self, event, name, text)
  if event == HTTP_BEGIN then return quote(text) end
  if event == HTTP_END then return '"HTTP request"' end
  return quote(self.copy.names[name] or "?")
end

local function begin_apart(self, task, key, name, category)
  self.apart[key] = {id = task and task.id or 0, name = name, category = category}
  put(self, '{"ph":"b","pid":2,"tid":%d,"ts":%s,"cat":"%s","id":"%d","name":%s}',
    task and task.id or 0, stamp(self), category, key, name)
end

local function end_apart(self, key, args)
  local span = self.apart[key]
  if not span then return end
  self.apart[key] = nil
  put(self, '{"ph":"e","pid":2,"tid":%d,"ts":%s,"cat":"%s","id":"%d","name":%s%s}', span.id,
    stamp(self), span.category, key, span.name, args and ',"args":{' .. args .. "}" or "")
end

local function begin_span(self, task, key, apart, name, category)
  if apart then
    begin_apart(self, task, key, name, category)
  elseif task then
    task.slices[#task.slices + 1] = key
    begin_slice(self, task, name, category)
  end
end

-- Ends those inside, too: they were left without their end.
local function end_nested(self, task, key, args)
  local slices = task.slices
  local depth = #slices
  while depth > 0 and slices[depth] ~= key do depth = depth - 1 end
  if depth == 0 then return end
  for i = #slices, depth, -1 do
    end_slice(self, task, i == depth and args or nil)
    slices[i] = nil
  end
end

local function end_span(self, task, key, apart, args)
  if apart then
    end_apart(self, key, args)
  elseif task then
    end_nested(self, task, key, args)
  end
end

local function category_of(event)
  return (event == HTTP_BEGIN or event == HTTP_END) and "http" or "span"
end

local function end_args(self, index, event, status)
  if event == SPAN_END then return nil end
  local route = text_after(self, index)
  return '"status":' .. status .. (route ~= "" and ',"route":' .. quote(route) or "")
end

-- Those whose begin is older than the trace begin with it, the outermost first: it ended last.
local function begin_earlier(self)
  for i = #self.earlier, 1, -1 do
    local span = self.earlier[i]
    self.nth[span.slot] = span.nth
    begin_span(self, track_of(self, span.slot), span.key, span.apart,
      span_name(self, span.event, span.name, ""), category_of(span.event))
  end
  self.nth = {}
end

-- ---- the second pass ----

local function end_task(self, task, slot)
  if task then
    set_leaf(self, task, nil)
    while #task.slices > 0 do end_nested(self, task, task.slices[#task.slices]) end
    if self.running == task then self.finished = task end
  end
  self.nth[slot] = (self.nth[slot] or 1) + 1
end

local function wake(self, task, index, cause, by)
  start_flow(self, index, task.slot)
  if task == self.running then return end
  local waker = waker_of(self, by)
  set_leaf(self, task, '"ready"', "ready", '"woken by":' .. quote(causes[cause] or "?") ..
    (waker and ',"of":' .. waker.title or ""))
end

local writers = {
  [SPAWN] = function(self, task, index, _, _, by)
    start_flow(self, index, task.slot)
    local spawner = waker_of(self, by)
    instant(self, task, quote("spawned" .. (spawner and " by #" .. spawner.id or "")), "task")
    set_leaf(self, task, '"ready"', "ready")
  end,
  [PAUSE] = function(self, task, _, _, kind, on) pause(self, task, kind, on) end,
  [WAKE] = function(self, task, index, cause, _, by) wake(self, task, index, cause, by) end,
  [MARK] = function(self, task, _, _, name)
    instant(self, task, quote(self.copy.names[name] or "?"), "mark")
  end,
  [ERROR] = function(self, task, index)
    instant(self, task, quote("error: " .. text_after(self, index)), "error")
  end,
  [DEADLINE] = function(self, task) instant(self, task, '"deadline missed"', "deadline") end,
}

local function write(self, index, event, detail, more, slot, argument)
  local task = track_of(self, slot)
  if task then task.slot = slot end
  local finished = self.finished
  if finished and not (event == WAKE and argument == finished.slot) then end_finished(self) end
  if event == RUN then
    run(self, slot)
  elseif event == SWITCH then
    pause(self, self.running, more, argument)
    run(self, slot)
  elseif event == END then
    end_task(self, task, slot)
  elseif event == SPAN_BEGIN or event == HTTP_BEGIN then
    local text = event == HTTP_BEGIN and text_after(self, index)
    begin_span(self, task, key_of(event, argument), detail ~= 0,
      span_name(self, event, more, text), category_of(event))
  elseif event == SPAN_END or event == HTTP_END then
    end_span(self, task, key_of(event, argument), detail ~= 0, end_args(self, index, event, more))
  elseif event == COLLECTED then
    put(self, '{"ph":"i","pid":1,"tid":1,"ts":%s,"s":"t","cat":"gc","name":"garbage collected"}',
      stamp(self))
  elseif task and writers[event] then
    writers[event](self, task, index, detail, more, argument)
  end
end

-- What has not ended ends with the trace.
local function end_all(self)
  if self.finished then end_finished(self) end
  self.ticks = math_max(self.ticks, (self.copy.ended - self.copy.started) / self.copy.tick)
  end_run(self)
  for _, owners in pairs(self.owners) do
    for _, task in pairs(owners) do
      if task.slices then
        set_leaf(self, task, nil)
        while #task.slices > 0 do end_nested(self, task, task.slices[#task.slices]) end
      end
    end
  end
  for key in pairs(self.apart) do end_apart(self, key) end
end

local function write_head(self)
  for pid, name in pairs({"moonlet", "tasks"}) do
    put(self, '{"ph":"M","pid":%d,"name":"process_name","args":{"name":"%s"}}', pid, name)
  end
  put(self, '{"ph":"M","pid":1,"tid":1,"name":"thread_name","args":{"name":"runs"}}')
  begin_earlier(self)
  if self.copy.running then run(self, self.copy.running) end
end

local function nothing() end

--- The text of a trace.
-- @tparam table copy what core.take() returns
-- @tparam[opt] function rest called every so often: it may let other tasks run
-- @treturn string JSON
function perfetto.format(copy, rest)
  local self = {
    copy = copy, rest = rest or nothing, ticks = 0, out = {},
    owners = {}, nth = {}, ending = {}, -- slot -> its tasks in turn, which of them it is, its end
    begun = {}, earlier = {},           -- spans that began and ended in the trace; those before
    woken = {}, flows = {}, flowing = {}, flow_count = 0,
    apart = {},                         -- open spans that do not nest
  }
  each_record(self, survey)
  add_live_tasks(self)
  self.nth, self.ticks = {}, 0
  write_head(self)
  each_record(self, write)
  end_all(self)
  return '{"displayTimeUnit":"ns","traceEvents":[\n' .. table_concat(self.out, ",\n") .. "\n]}\n"
end

return perfetto
