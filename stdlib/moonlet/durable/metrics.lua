--- What a program's durable runs count and measure, for moonlet.inspect.
-- @module moonlet.durable.metrics

local pairs, setmetatable = pairs, setmetatable
local max = math.max

local named = require "moonlet.named"

local metrics = {}

-- The open databases: for the inspector, too.
local all = setmetatable({}, { __mode = "k" })
metrics.open = all

--- Counts of one database. `queued` and `oldest` are what its worker has seen last.
function metrics.counts(d)
  local counts = { claims = 0, replays = 0, lost = 0, waited = 0, queued = 0 }
  all[d] = counts
  return counts
end

--- A database is closed.
function metrics.forget(d) all[d] = nil end

-- The sums of all databases, how many runs are in memory, and for how long the oldest waits.
local function sums()
  local total = { claims = 0, replays = 0, lost = 0, waited = 0, queued = 0, runs = 0, oldest = 0 }
  for d, counts in pairs(all) do
    for name, value in pairs(counts) do
      if name ~= "oldest" then total[name] = total[name] + value end
    end
    if counts.oldest then total.oldest = max(total.oldest, d:now() - counts.oldest) end
    if d.worker then total.runs = total.runs + d.worker.count end
  end
  return total
end

local FAMILIES = {
  { "moonlet_durable_claims_total", "counter", nil, "Durable runs that were claimed.", "claims" },
  { "moonlet_durable_claim_wait_seconds_total", "counter", "seconds",
    "How long these could have been claimed before.", "waited" },
  { "moonlet_durable_replays_total", "counter", nil,
    "Those of them that had been claimed before, and were called again.", "replays" },
  { "moonlet_durable_lost_total", "counter", nil,
    "Durable runs that this process lost to another worker.", "lost" },
  { "moonlet_durable_runs", "gauge", nil, "Durable runs in memory.", "runs" },
  { "moonlet_durable_queued", "gauge", nil, "Durable runs that could be claimed.", "queued" },
  { "moonlet_durable_oldest_seconds", "gauge", "seconds",
    "For how long the oldest of these could have been claimed.", "oldest" },
}

-- Adds the families; family, labelled: as moonlet.inspect.own_metrics has them.
named.metrics[#named.metrics + 1] = function(list, family, labelled)
  local total = sums()
  for i = 1, #FAMILIES do
    local name, kind, unit, help, field = FAMILIES[i][1], FAMILIES[i][2], FAMILIES[i][3],
      FAMILIES[i][4], FAMILIES[i][5]
    list[#list + 1] = family(name, kind, unit, help, { labelled { value = total[field] } })
  end
end

return metrics
