--- Reading and writing JSON, beside lua-cjson in the same run.
local columns = require "columns"
local json = require "json"
local process = require "process"

local documents = {}

local LIMIT_SECONDS = 300

-- Lines of the program -> a record for each document and way, in their order.
local function gather(lines)
  local records, known = {}, {}
  for _, line in ipairs(lines) do
    local key = line.document .. line.way
    local record = known[key]
    if not record then
      record = {document = line.document, way = line.way, bytes = line.bytes}
      known[key], records[#records + 1] = record, record
    end
    record[line.library] = line.us
  end
  return records
end

local function row(record)
  local ours, other = record.moonlet, record["lua-cjson"]
  return {record.document .. ", " .. record.way, columns.cell(ours, "%.1f"),
    columns.cell(other, "%.1f"), columns.cell(other and ours / other),
    columns.cell(record.bytes / ours, "%.0f")}
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each document and way, in microseconds
function documents.run(all, quick)
  local command = {all.settings.moonlet, all:script "documents.lua", quick and "--quick" or nil}
  local output, reason = process.capture(command, {cpu = 0, limit = LIMIT_SECONDS})
  local records, rows = output and gather(json.decode_lines(output)) or {}, {}
  for i, record in ipairs(records) do rows[i] = row(record) end
  columns.print("JSON, microseconds a document",
    {"", "moonlet", "lua-cjson", "ratio", "moonlet, MB/s"}, rows, {reason})
  return records
end

return documents
