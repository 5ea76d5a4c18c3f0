-- Reads the text of a trace, and checks it by the rules of the format: each begin has its end on
-- its track, slices nest, the tasks that run do so one after the other, times ascend, each arrow
-- has both ends. https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMh4h6I0nSsKchNAySU
local json = require "moonlet.json"

local check = {}

local Track = {}
Track.__index = Track

-- The names of the slices of these categories, in the order of their begins.
function Track:slices(...)
  local wanted, names = {}, {}
  for _, category in ipairs {...} do wanted[category] = true end
  for _, slice in ipairs(self.all) do
    if wanted[slice.cat] then names[#names + 1] = slice.name end
  end
  return names
end

-- The first slice of that name.
function Track:slice(name)
  for _, slice in ipairs(self.all) do
    if slice.name == name then return slice end
  end
end

local Trace = {}
Trace.__index = Trace

-- The track of the task of that name, or with that text as its title.
function Trace:track(name)
  for _, track in pairs(self.tracks) do
    if track.pid == 2 and (track.name == name or track.name and track.name:match "^(.*) #%d+$" == name) then
      return track
    end
  end
end

local function track_of(trace, event)
  local key = event.pid .. "/" .. (event.tid or "")
  local track = trace.tracks[key]
  if not track then
    track = setmetatable({pid = event.pid, tid = event.tid, all = {}, open = {}, marks = {}}, Track)
    trace.tracks[key] = track
  end
  return track
end

local readers = {
  M = function(trace, event)
    if event.name == "thread_name" then
      local track = track_of(trace, event)
      assert(track.name == nil, "a track with two names")
      track.name = event.args.name
    end
  end,
  B = function(trace, event)
    local track = track_of(trace, event)
    assert(event.pid ~= 1 or #track.open == 0, "two tasks run at the same time")
    local above = track.open[#track.open]
    assert(not above or (above.cat ~= "wait" and above.cat ~= "ready"), "something in a wait")
    table.insert(track.open, event)
    table.insert(track.all, event)
    event.depth = #track.open
  end,
  E = function(trace, event)
    local begin = table.remove(track_of(trace, event).open)
    assert(begin, "an end without a begin")
    begin.ended, begin.args = event.ts, event.args
  end,
  i = function(trace, event)
    assert(event.s == "t")
    table.insert(track_of(trace, event).marks, event)
  end,
  b = function(trace, event)
    local key = event.cat .. "/" .. event.id
    assert(not trace.apart[key], "an id is used twice at a time")
    trace.apart[key] = event
    table.insert(trace.all_apart, event)
  end,
  e = function(trace, event)
    local key = event.cat .. "/" .. event.id
    local begin = assert(trace.apart[key], "an end without a begin")
    assert(begin.name == event.name and begin.pid == event.pid and begin.tid == event.tid)
    begin.ended, trace.apart[key] = event.ts, nil
  end,
  s = function(trace, event)
    assert(trace.open_flows[event.id] == nil, "an arrow's number is used twice")
    assert(#track_of(trace, event).open == 1, "an arrow begins in no slice")
    trace.open_flows[event.id] = event.ts
  end,
  f = function(trace, event)
    assert(event.bp == "e")
    assert(trace.open_flows[event.id], "an arrow ends that has not begun")
    assert(#track_of(trace, event).open == 1, "an arrow ends in no slice")
    trace.open_flows[event.id] = nil
    trace.flows = trace.flows + 1
  end,
}

local function check_ends(trace)
  for _, track in pairs(trace.tracks) do
    assert(#track.open == 0, "a begin without an end")
    assert(#track.all == 0 or track.name, "a track without a name")
  end
  assert(next(trace.apart) == nil, "a begin without an end")
  assert(next(trace.open_flows) == nil, "an arrow without an end")
end

--- Raises for a text that breaks the rules; returns what it says.
function check.read(text)
  assert(utf8.len(text), "not UTF-8")
  local events = assert(json.decode(text)).traceEvents
  local trace = setmetatable({events = events, tracks = {}, apart = {}, all_apart = {}, open_flows = {},
    flows = 0}, Trace)
  local last = 0
  for _, event in ipairs(events) do
    local ts = event.ts
    assert((ts == nil) == (event.ph == "M"), "a time is missing")
    assert(not ts or ts >= last, "times go back")
    last = ts or last
    local read = assert(readers[event.ph], "an unknown kind of event")
    read(trace, event)
  end
  check_ends(trace)
  return trace
end

return check
