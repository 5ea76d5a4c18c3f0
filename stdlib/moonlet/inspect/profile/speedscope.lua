-- A profile as a file of speedscope.app: its JSON schema, kind "sampled". Internal.

local format, gsub = string.format, string.gsub
local concat = table.concat

local labels = require "moonlet.inspect.profile.labels"

local speedscope = {}

-- Labels have no control characters.
local function quote(text)
  return '"' .. gsub(text, '["\\]', "\\%0") .. '"'
end

local function frame_of(frame)
  local text = '{"name":' .. quote(labels.label(frame))
  if frame.kind == "lua" then text = text .. ',"file":' .. quote(labels.printable(frame.source)) end
  if frame.kind == "lua" and frame.line > 0 then text = text .. format(',"line":%d', frame.line) end
  return text .. "}"
end

-- Indices count from 0 there, and a sample has its outermost frame first.
local function sample_of(stack)
  local sample = {}
  for depth = 1, #stack do sample[depth] = stack[depth] - 1 end
  return "[" .. (#stack > 0 and concat(sample, ",") or "0") .. "]"
end

local FILE = [[
{"$schema":"https://www.speedscope.app/file-format-schema.json","name":%s,"exporter":"moonlet",
"activeProfileIndex":0,"shared":{"frames":[%s]},
"profiles":[{"type":"sampled","name":%s,"unit":"seconds","startValue":0,"endValue":%.9f,
"samples":[%s],
"weights":[%s]}]}
]]

function speedscope.render(measured, title)
  local frames, samples, weights, total = {}, {}, {}, 0
  for i = 1, #measured.frames do frames[i] = frame_of(measured.frames[i]) end
  for i = 1, #measured.stacks do
    local stack = measured.stacks[i]
    samples[i], weights[i] = sample_of(stack), format("%.9f", stack.seconds)
    total = total + stack.seconds
  end
  local name = quote(labels.printable(title or ("moonlet, %s time"):format(measured.mode)))
  return format(FILE, name, concat(frames, ",\n"), name, total, concat(samples, ","),
    concat(weights, ","))
end

return speedscope
