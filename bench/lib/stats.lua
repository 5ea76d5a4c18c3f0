--- Figures that stand for many.
local stats = {}

--- @tparam {number,...} values
-- @treturn ?number nil for an empty list
function stats.median(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local middle = #sorted // 2
  if #sorted % 2 == 1 then return sorted[middle + 1] end
  return sorted[middle] and (sorted[middle] + sorted[middle + 1]) / 2
end

--- @tparam {number,...} values
-- @treturn ?number nil for an empty list
function stats.min(values)
  return values[1] and math.min(table.unpack(values))
end

--- The median of one field over many records; records without it are left out.
-- @tparam {table,...} records
-- @tparam string field
-- @treturn ?number
function stats.median_of(records, field)
  local values = {}
  for _, record in ipairs(records) do values[#values + 1] = record[field] end
  return stats.median(values)
end

--- The median of the ratios of two runs' records, pair by pair: what drifts from round to round
-- cancels out.
-- @tparam {table,...} records
-- @tparam {table,...} bases
-- @tparam string field
-- @treturn ?number
function stats.median_ratio(records, bases, field)
  local ratios = {}
  for i, record in ipairs(records) do
    local value, base = record[field], bases[i] and bases[i][field]
    if value and base then ratios[#ratios + 1] = value / base end
  end
  return stats.median(ratios)
end

return stats
