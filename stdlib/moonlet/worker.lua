--- Several processes of one program: what they share.
-- @module moonlet.worker

local worker = {}

--- Opens a store that all workers share: keys and values in memory, bounded, each call atomic. A
-- worker that is killed in the middle of a write harms nobody. Without workers it is this
-- process's own, shared by its threads. The values stay while the program runs, also when all
-- workers have been replaced.
-- @function store
-- @tparam string name of 1 to 63 bytes
-- @tparam[opt] table opts
-- @tparam[opt=16777216] integer opts.size bytes, of the first that opens it; from 65536. Values
-- take what they need in pieces of 64, and one must fit into a sixteenth of the size, or into 2 MiB
-- @tparam[opt=false] boolean opts.evict when it is full, what was not used for long makes room;
-- without it, a write is refused with "ENOSPC"
-- @treturn Store or nil, message, code: "EINVAL" if it is there with other options, "EPROTO" if its
-- memory is of another version of moonlet
-- @usage local hits = assert(worker.store "hits")
-- hits:incr "/"
worker.store = require "moonlet.worker.store"

return worker
