-- What moonlet --attach shows in the terminal, as lines; and what its keys do.

local ipairs, tostring = ipairs, tostring
local math_huge, math_max, math_min = math.huge, math.max, math.min
local stdout, table_concat, table_sort = io.stdout, table.concat, table.sort
local utf8_len, utf8_offset = utf8.len, utf8.offset

local screen = {}

local SORTS = { "cpu", "rate", "age", "id", "name", "state" }

-- Text of the program, as a terminal may show it: no control characters.
local function clean(text) return (tostring(text or ""):gsub("[%c\127-\159]", "?")) end

local function name_of(entry) return clean(entry.name or "#" .. entry.id) end

local function wait_of(entry)
  if not entry.waits_for then return "" end
  local on = entry.on or {}
  return clean(entry.waits_for .. (on.task and " " .. (on.name or "#" .. on.task) or ""))
end

local function matches(entry, search)
  local text = (name_of(entry) .. " " .. entry.state .. " " .. wait_of(entry)):lower()
  return not search or search == "" or text:find(search:lower(), 1, true) ~= nil
end

-- Whether a stands before b: what is busy, or old, comes first.
local function is_before(key)
  local descends = key == "cpu" or key == "rate" or key == "age"
  local function value(entry)
    if key == "name" then return name_of(entry) end
    if key == "cpu" then return entry.load or 0 end
    return entry[key] or 0
  end
  return function(a, b)
    local x, y = value(a), value(b)
    if x == y then return a.id < b.id end
    if descends then return x > y end
    return x < y
  end
end

local function fit(text, width)
  local length = utf8_len(text) or #text
  if length > width then return text:sub(1, (utf8_offset(text, width + 1) or width + 1) - 1) end
  return text .. (" "):rep(width - length)
end

local FORMAT = "%8s  %s  %-8s %9s %6s %9s  %s"

local function row(entry, columns)
  local width = math_max(12, (columns - 51) // 2)
  local text = FORMAT:format(entry.id, fit(name_of(entry), width), clean(entry.state),
    ("%.1f s"):format(entry.age or 0), ("%.1f"):format(entry.load or 0),
    ("%.1f"):format(entry.rate or 0), wait_of(entry))
  return fit(text, columns)
end

local function heading(columns)
  local width = math_max(12, (columns - 51) // 2)
  local name = fit("name", width)
  return fit(FORMAT:format("id", name, "state", "age", "cpu %", "runs/s", "waits for"), columns)
end

--- The list of tasks. view: sort, search, selected (its row), problem.
-- @treturn {string,...}
function screen.list(answer, view, columns, rows)
  local found = {}
  for _, entry in ipairs(answer.tasks) do
    if matches(entry, view.search) then found[#found + 1] = entry end
  end
  table_sort(found, is_before(view.sort))
  local lines = {
    ("%d tasks, by %s%s"):format(answer.count or #answer.tasks, view.sort,
      view.search and ", with '" .. clean(view.search) .. "'" or ""),
    view.problem and clean(view.problem) or "", heading(columns),
  }
  local space = rows - 4
  view.found = found
  view.selected = math_max(1, math_min(view.selected or 1, #found))
  local first = math_max(1, math_min(view.selected - space // 2, #found - space + 1))
  if rows == math_huge then first = 1 end
  for i = first, math_min(#found, first + space - 1) do
    local text = row(found[i], columns)
    lines[#lines + 1] = i == view.selected and view.seen and "\27[7m" .. text .. "\27[0m" or text
  end
  if rows ~= math_huge then
    lines[#lines + 1] = view.asks and "search: " .. clean(view.search)
      or "q quit  j k move  Enter calls  s sort  / search"
  end
  return lines
end

--- A task with its calls. entry: nil: it has ended, or `problem` says why it is not known.
function screen.detail(entry, problem)
  if not entry then return { clean(problem or "the task has ended"), "", "Esc back" } end
  local lines = { name_of(entry) .. "  (" .. clean(entry.state) .. ")",
    "waits for " .. wait_of(entry), "spawned at " .. clean(entry.spawned or "?"), "" }
  for _, call in ipairs(entry.stack or {}) do
    local place = call.what == "C" and "[C]" or clean(call.source) .. ":" .. clean(call.line)
    lines[#lines + 1] = call.omitted and ("  ... (%d calls)"):format(call.omitted)
      or "  " .. place .. ": " .. clean(call.name or call.what)
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "Esc back"
  return lines
end

--- Shows lines from the upper left corner on.
function screen.draw(lines, rows, columns)
  local parts = { "\27[H" }
  for i = 1, math_min(#lines, rows) do
    local text = lines[i]:find "\27" and lines[i] or fit(lines[i], columns)
    parts[#parts + 1] = text .. "\27[K" .. (i < rows and "\r\n" or "")
  end
  parts[#parts + 1] = "\27[J"
  stdout:write(table_concat(parts))
  stdout:flush()
end

local function next_sort(sort)
  for i, name in ipairs(SORTS) do
    if name == sort then return SORTS[i % #SORTS + 1] end
  end
end

local function type_search(view, key)
  if key == "\r" or key == "\n" then view.asks = false
  elseif key == "\27" then view.asks, view.search = false, nil
  elseif key == "\127" or key == "\b" then view.search = view.search:sub(1, -2)
  elseif not key:find "%c" then view.search = view.search .. key end
end

local function open_selected(view)
  local entry = view.found and view.found[view.selected]
  view.detail = entry and entry.id
end

local KEYS = {
  q = function(view) view.is_over = true end,
  ["\3"] = function(view) view.is_over = true end,
  j = function(view) view.selected = view.selected + 1 end,
  k = function(view) view.selected = view.selected - 1 end,
  B = function(view) view.selected = view.selected + 1 end, -- the end of an arrow key
  A = function(view) view.selected = view.selected - 1 end,
  s = function(view) view.sort = next_sort(view.sort) end,
  ["/"] = function(view) view.asks, view.search = true, "" end,
  ["\r"] = open_selected, ["\n"] = open_selected,
  ["\27"] = function(view) view.detail = nil end,
}

--- What a key does to the view.
function screen.key(view, key)
  if view.asks then return type_search(view, key) end
  if KEYS[key] then KEYS[key](view) end
end

return screen
