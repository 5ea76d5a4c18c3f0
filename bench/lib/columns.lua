--- Tables of text, first column to the left, the others to the right.
local columns = {}

local function widths(rows)
  local result = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do result[i] = math.max(result[i] or 0, #cell) end
  end
  return result
end

local function format_row(row, width)
  local cells = {}
  for i, cell in ipairs(row) do
    local padding = (" "):rep(width[i] - #cell)
    cells[i] = i == 1 and cell .. padding or padding .. cell
  end
  return table.concat(cells, "  ")
end

--- A cell: a dash for what could not be measured.
-- @tparam ?number value
-- @tparam[opt="%.2f"] string format
-- @treturn string
function columns.cell(value, format)
  return value and string.format(format or "%.2f", value) or "-"
end

--- Notes for a table: which of its records could not be measured, and why.
-- @tparam {table,...} records with `name` and, of those that could not, `failed`
-- @treturn {string,...}
function columns.failures(records)
  local notes = {}
  for _, record in ipairs(records) do
    if record.failed then notes[#notes + 1] = record.name .. ": " .. record.failed end
  end
  return notes
end

--- @tparam string title
-- @tparam {string,...} header
-- @tparam {{string,...},...} rows as many cells as the header
-- @tparam[opt] {string,...} notes printed below
function columns.print(title, header, rows, notes)
  local all = table.move(rows, 1, #rows, 2, {header})
  local width = widths(all)
  print("\n" .. title)
  for _, row in ipairs(all) do print("  " .. format_row(row, width)) end
  for _, note in ipairs(notes or {}) do print("  " .. note) end
  io.stdout:flush()
end

return columns
