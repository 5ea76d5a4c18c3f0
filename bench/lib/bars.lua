--- Panels of horizontal bars as an SVG picture, in two columns. It has a ground of its own, light
-- or dark as the reader's system is, so that it can be read on any page.
local bars = {}

-- Pixels.
local WIDTH, MARGIN, GAP = 880, 24, 36
local HEAD, FOOT = 66, 46 -- above and below the panels
local TITLE, ROW, BAR = 30, 20, 13 -- a panel's title, a row, the bar in it
local BETWEEN = 26 -- panels
local NAMES, FIGURES = 118, 56 -- to the left and to the right of the bars
local PANEL = (WIDTH - 2 * MARGIN - GAP) // 2
local LONGEST = PANEL - NAMES - FIGURES

local MOST_CHARACTERS = 18 -- of a name

-- A bar longer than this times ours is cut off, and shows that it is: what matters lies below.
local MOST_TIMES_OURS = 16

local STYLE = [[
svg { font-family: -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; }
text { fill: #1f2328; font-size: 12px; }
.head { font-size: 17px; font-weight: 600; }
.title { font-size: 13px; font-weight: 600; }
.quiet, .name, .figure { fill: #59636e; }
.foot { font-size: 11px; }
.name { text-anchor: end; }
.ground { fill: #ffffff; stroke: #d1d9e0; }
.axis, .cut { stroke: #b7bfc8; }
.cut { stroke: #ffffff; stroke-width: 2.5; }
.other { fill: #a9b4c0; }
.yardstick { fill: #dde2e8; }
.ours { fill: #0969da; }
text.ours { fill: #0550ae; font-weight: 600; }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc; }
.quiet, .name, .figure { fill: #9198a1; }
.ground { fill: #0d1117; stroke: #3d444d; }
.axis { stroke: #4b535d; }
.cut { stroke: #0d1117; }
.other { fill: #5b6570; }
.yardstick { fill: #343b44; }
.ours { fill: #4493f8; }
text.ours { fill: #79c0ff; }
}
]]

local entities = {
  ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;",
}

-- What XML cannot hold becomes a question mark: control characters, bytes that are no UTF-8, and
-- U+FFFE and U+FFFF.
local function escape(text)
  if not utf8.len(text) then text = text:gsub("[\x80-\xff]", "?") end
  text = text:gsub("[%c\x7f]", "?"):gsub("\xef\xbf[\xbe\xbf]", "?")
  return (text:gsub("[&<>\"']", entities))
end

local function shorten(text)
  local length = utf8.len(text) or #text
  if length <= MOST_CHARACTERS then return text end
  local stop = utf8.len(text) and utf8.offset(text, MOST_CHARACTERS) or MOST_CHARACTERS
  return text:sub(1, stop - 1) .. "…"
end

-- Three digits that count, thousands in groups.
local function figure(value)
  if value >= 1000 then
    return (string.format("%.0f", value):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
  end
  local format = value >= 100 and "%.0f" or value >= 10 and "%.1f" or "%.2f"
  return string.format(format, value)
end

local function text_at(x, y, class, text)
  return string.format('<text x="%g" y="%g" class="%s">%s</text>', x, y, class, escape(text))
end

-- The value at which a bar has its full length.
local function full_scale(list)
  local most, ours = 0, nil
  for _, bar in ipairs(list) do
    most = math.max(most, bar.value)
    if bar.kind == "ours" then ours = bar.value end
  end
  return ours and ours > 0 and math.min(most, ours * MOST_TIMES_OURS) or most
end

-- Two slanted cuts near the end of a bar that would be longer.
local function cut(x, y)
  local line = '<path class="cut" d="M%g %gl5 %d"/>'
  return string.format(line, x - 26, y + BAR + 1, -BAR - 2)
    .. string.format(line, x - 20, y + BAR + 1, -BAR - 2)
end

local function draw_bar(out, bar, scale, left, y)
  local is_cut = bar.value > scale
  local length = scale > 0 and LONGEST * math.min(bar.value, scale) / scale or 0
  local x, top, base = left + NAMES, y + (ROW - BAR) / 2, y + ROW / 2 + 4
  local suffix = bar.kind == "ours" and " ours" or ""
  out[#out + 1] = text_at(x - 8, base, "name" .. suffix, shorten(bar.name))
  out[#out + 1] = string.format('<rect x="%g" y="%g" width="%.2f" height="%d" class="%s"/>',
    x, top, length, BAR, bar.kind)
  if is_cut then out[#out + 1] = cut(x + length, top) end
  out[#out + 1] = text_at(x + length + 6, base, "figure" .. suffix, figure(bar.value))
end

local function draw_panel(out, panel, left, top)
  local scale, y = full_scale(panel.bars), top + TITLE
  local unit = '<tspan class="quiet" font-weight="400" dx="8">' .. escape(panel.unit) .. "</tspan>"
  out[#out + 1] = string.format('<text x="%g" y="%g" class="title">%s%s</text>', left, top + 14,
    escape(panel.title), unit)
  for i, bar in ipairs(panel.bars) do draw_bar(out, bar, scale, left, y + (i - 1) * ROW) end
  out[#out + 1] = string.format('<path class="axis" d="M%g %gv%d"/>', left + NAMES, y,
    #panel.bars * ROW)
end

local function height_of(panel)
  return panel and TITLE + #panel.bars * ROW or 0
end

-- Two panels side by side begin at the same height.
local function draw_panels(out, panels)
  local top = HEAD
  for i = 1, #panels, 2 do
    draw_panel(out, panels[i], MARGIN, top)
    if panels[i + 1] then draw_panel(out, panels[i + 1], MARGIN + PANEL + GAP, top) end
    top = top + math.max(height_of(panels[i]), height_of(panels[i + 1])) + BETWEEN
  end
  return top - BETWEEN + FOOT
end

--- @tparam table chart `title`, `subtitle`, `note` (at the foot) and `panels`: each `title`, `unit`
--   and `bars` of `name`, `value` (0 or more) and `kind` ("ours", "other", "yardstick")
-- @treturn string
function bars.svg(chart)
  local out = {}
  local height = draw_panels(out, chart.panels)
  local frame = '<rect x="0.5" y="0.5" width="%d" height="%g" rx="8" class="ground"/>'
  table.insert(out, 1, table.concat({
    string.format('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%g" '
      .. 'viewBox="0 0 %d %g" role="img">', WIDTH, height, WIDTH, height),
    "<title>" .. escape(chart.title) .. "</title>",
    "<style>\n" .. STYLE .. "</style>",
    string.format(frame, WIDTH - 1, height - 1),
    text_at(MARGIN, 30, "head", chart.title),
    text_at(MARGIN, 48, "quiet", chart.subtitle),
  }, "\n"))
  out[#out + 1] = text_at(MARGIN, height - 16, "quiet foot", chart.note)
  out[#out + 1] = "</svg>\n"
  return table.concat(out, "\n")
end

return bars
