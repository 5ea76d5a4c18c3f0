--- The tables of docs/http.md name tests that are there: the last cell of a row is a file below tests/ and a
-- text in it.

local support = dofile "tests/spec/support.lua"
local it, read_file = support.limited(it), support.read_file

-- Each row: its last cell; nil where the row is a heading or a line.
local function rows(text)
  local list, is_table = {}, false
  for line in text:gmatch "([^\n]*)\n" do
    local last = line:match "^|.*|%s*(.-)%s*|$"
    if not last then
      is_table = false
    elseif last == "shown by" then
      is_table = true
    elseif is_table and not last:find "^%-+$" then
      list[#list + 1] = { line = line, cell = last }
    end
  end
  return list
end

-- What is wrong with a row; nil: nothing.
local function complaint(cell)
  local path, title = cell:match "^`([%w_/]+%.%w+)`: (.+)$"
  if not path then return "names no file and title" end
  local text = read_file("tests/" .. path)
  if not text then return "tests/" .. path .. " is not there" end
  if not text:find(title, 1, true) then return "'" .. title .. "' is not in tests/" .. path end
end

describe("the tables of docs/http.md", function()
  it("name files and titles that are there", function()
    local list, wrong = rows(read_file "docs/http.md"), {}
    for _, row in ipairs(list) do
      local what = complaint(row.cell)
      if what then wrong[#wrong + 1] = row.line .. ": " .. what end
    end
    assert.same({}, wrong)
    assert.is_true(#list > 80, #list)
  end)

  it("are complained about when a test is missing", function()
    assert.matches("is not there", complaint "`spec/http/none_spec.lua`: x")
    assert.matches("is not in", complaint("`spec/http/server_spec.lua`: " .. ("x"):rep(50)))
    assert.matches("names no file", complaint "some test")
  end)
end)
