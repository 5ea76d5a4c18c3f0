-- A profile as a file of speedscope.app: its JSON schema, kind "sampled". Internal.

local json = require "moonlet.json"
local labels = require "moonlet.inspect.profile.labels"

local speedscope = {}

local function frames_of(measured)
  local frames = {}
  for i = 1, #measured.frames do
    local frame = measured.frames[i]
    local place = frame.kind == "lua" and frame.line > 0
    frames[i] = {
      name = labels.label(frame),
      file = frame.kind == "lua" and labels.printable(frame.source) or nil,
      line = place and frame.line or nil,
    }
  end
  return frames
end

-- Indices count from 0 there, and a sample has its outermost frame first.
local function sample_of(stack)
  local sample = {}
  for depth = 1, #stack do sample[depth] = stack[depth] - 1 end
  if #stack == 0 then sample[1] = 0 end
  return sample
end

function speedscope.render(measured, title)
  local samples, weights, total = {}, {}, 0
  for i = 1, #measured.stacks do
    samples[i], weights[i] = sample_of(measured.stacks[i]), measured.stacks[i].seconds
    total = total + weights[i]
  end
  local name = labels.printable(title or ("moonlet, %s time"):format(measured.mode))
  return json.encode {
    ["$schema"] = "https://www.speedscope.app/file-format-schema.json",
    name = name,
    exporter = "moonlet",
    activeProfileIndex = 0,
    shared = { frames = frames_of(measured) },
    profiles = { {
      type = "sampled",
      name = name,
      unit = "seconds",
      startValue = 0,
      endValue = total,
      samples = samples,
      weights = weights,
    } },
  }
end

return speedscope
