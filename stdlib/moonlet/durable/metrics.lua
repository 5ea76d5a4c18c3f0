--- What a program's durable runs count and measure, for moonlet.inspect.
-- @module moonlet.durable.metrics

local metrics = {}

--- Counts of one database.
function metrics.counts()
  return { claims = 0, replays = 0, lost = 0, waited = 0 }
end

return metrics
