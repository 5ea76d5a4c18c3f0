--- A line protocol: lines of 40 bytes, each answered by a line, beside a raw C server with a parser
-- of lines in alternating rounds.
local pingpong = require "pingpong"

local lines = {}

local CONNECTIONS = 64
local LINE_BYTES = 40

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn table `connections`; `servers`: a record for each
function lines.run(all, quick)
  return pingpong.compare(all, all:line_servers(), {
    title = string.format("Lines of %d bytes, %d connections", LINE_BYTES, CONNECTIONS),
    connections = CONNECTIONS, quick = quick, words = {"--lines", "--size", tostring(LINE_BYTES)},
  })
end

return lines
