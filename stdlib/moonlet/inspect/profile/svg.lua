-- A profile as a flame graph: one file that needs no other, readable as a picture, too. Internal.
--
-- The outermost calls are at the bottom. A box is as wide as the time spent in the function and in
-- what it called.

local format, gsub, sub = string.format, string.gsub, string.sub
local concat, sort = table.concat, table.sort
local floor, max = math.floor, math.max
local utf8_char, utf8_len, utf8_offset = utf8.char, utf8.len, utf8.offset

local labels = require "moonlet.inspect.profile.labels"
local script = require "moonlet.inspect.profile.svg_script"

local svg = {}

-- Pixels.
local WIDTH, MARGIN, ROW, TOP, BOTTOM, CHAR = 1200, 10, 17, 60, 30, 7
local INNER = WIDTH - 2 * MARGIN
-- A box is left out if it is narrower: it could not be seen.
local LEAST = 0.2

-- ---- the tree ----

local function new_node(name, kind)
  return { name = name, kind = kind, seconds = 0, children = {}, index = {} }
end

local function child_of(node, name, kind)
  local child = node.index[name]
  if not child then
    child = new_node(name, kind)
    node.index[name] = child
    node.children[#node.children + 1] = child
  end
  return child
end

local function by_name(a, b)
  return a.name < b.name
end

-- Frames with the same label are one box: a function that is loaded twice, say.
local function tree_of(measured)
  local names, root = labels.all(measured), new_node("all", "root")
  for i = 1, #measured.stacks do
    local stack, node = measured.stacks[i], root
    root.seconds = root.seconds + stack.seconds
    for depth = 1, max(1, #stack) do
      local frame = stack[depth] or 1
      node = child_of(node, names[frame], measured.frames[frame].kind)
      node.seconds = node.seconds + stack.seconds
    end
  end
  return root
end

local function depth_of(node)
  local deepest, level = 0, { node }
  while #level > 0 do
    local next_level = {}
    for i = 1, #level do
      local children = level[i].children
      for j = 1, #children do next_level[#next_level + 1] = children[j] end
    end
    level, deepest = next_level, deepest + 1
  end
  return deepest
end

-- ---- text ----

local entities = {
  ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;",
}
-- Characters that XML does not have; labels have no control characters.
local no_xml = utf8_char(0xFFFE) .. "|" .. utf8_char(0xFFFF)

local function escape(text)
  text = gsub(text, "[&<>\"']", entities)
  return (gsub(gsub(text, sub(no_xml, 1, 3), "?"), sub(no_xml, 5), "?"))
end

-- As much of a text as fits into so many pixels.
local function fit(text, width)
  local room = floor((width - 6) / CHAR)
  if room < 3 then return "" end
  if utf8_len(text) <= room then return text end
  return sub(text, 1, utf8_offset(text, room) - 1) .. "…"
end

local function hash(text)
  local value = 5381
  for i = 1, #text do value = (value * 33 ~ text:byte(i)) & 0xFFFFFF end
  return value
end

-- A colour near one hue, always the same for the same name.
local function near(name, hue, range, saturation, light)
  local shade = hash(name)
  return format("hsl(%d,%d%%,%d%%)", hue + shade % range, saturation, light + shade // 64 % 12)
end

-- Lua functions are orange, C functions green, the collector violet, waits and the hub grey, tasks
-- blue.
local function colour(node)
  if node.kind == "lua" then return near(node.name, 14, 38, 85, 62) end
  if node.kind == "c" then return near(node.name, 100, 40, 42, 65) end
  if node.kind == "task" then return near(node.name, 200, 20, 55, 74) end
  if node.name == "(garbage collector)" then return "hsl(285,45%,76%)" end
  return "hsl(220,9%,82%)"
end

-- ---- boxes ----

local BOX = '<g class="f" data-x="%.3f" data-w="%.3f"><title>%s\n%.2f%%, %.3f s</title>'
  .. '<rect x="%.2f" y="%d" width="%.2f" height="%d" fill="%s"/>'
  .. '<text x="%.2f" y="%d">%s</text></g>\n'

-- Appends the boxes of a node and of those above it. level: 0 for the lowest row.
local function draw(parts, node, x, level, picture)
  local width = node.seconds * picture.scale
  if width < LEAST then return end
  local y = picture.height - BOTTOM - (level + 1) * ROW
  parts[#parts + 1] = format(BOX, x, width, escape(node.name), 100 * node.seconds / picture.total,
    node.seconds, x, y, max(width - 0.4, LEAST), ROW - 1, colour(node), x + 3, y + 12,
    escape(fit(node.name, width)))
  sort(node.children, by_name)
  for i = 1, #node.children do
    local child = node.children[i]
    draw(parts, child, x, level + 1, picture)
    x = x + child.seconds * picture.scale
  end
end

local HEAD = [[
<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" version="1.1" width="%d" height="%d" viewBox="0 0 %d %d">
<style>
text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #111; }
.f text { font-size: 11.5px; pointer-events: none; }
.f { cursor: pointer; }
.f:hover rect { stroke: #111; stroke-width: 1; }
.title { font-size: 17px; text-anchor: middle; }
.button { cursor: pointer; fill: #06c; }
.part rect { opacity: 0.5; }
.found rect { fill: #c4f; }
.out { display: none; }
</style>
<rect width="100%%" height="100%%" fill="#fdfcf7"/>
<text class="title" x="%d" y="26">%s</text>
<text x="%d" y="46" id="details">%s</text>
]]

local TAIL = [=[
<text class="button" x="%d" y="26" id="reset" visibility="hidden">Show all</text>
<text class="button" x="%d" y="26" id="search" text-anchor="end" visibility="hidden">Search</text>
<text x="%d" y="46" id="matched" text-anchor="end"> </text>
<script type="text/javascript"><![CDATA[
%s]]></script>
</svg>
]=]

local function summary(measured)
  return format("%s time: %d samples of the CPU clock in %.2f s, %d Hz", measured.mode,
    measured.samples, measured.seconds, measured.hz)
end

function svg.render(measured, title)
  local root = tree_of(measured)
  local picture = { height = TOP + BOTTOM + depth_of(root) * ROW }
  picture.total = root.seconds > 0 and root.seconds or 1
  picture.scale = INNER / picture.total
  local text = labels.printable(title or "Flame graph")
  local parts = { format(HEAD, WIDTH, picture.height, WIDTH, picture.height, WIDTH // 2,
    escape(text), MARGIN, escape(summary(measured))) }
  draw(parts, root, MARGIN, 0, picture)
  parts[#parts + 1] = format(TAIL, MARGIN, WIDTH - MARGIN, WIDTH - MARGIN, script)
  return concat(parts)
end

return svg
