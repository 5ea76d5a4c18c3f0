-- Runs busted on the given spec files inside the interpreter that runs this script, so that the
-- specs test moonlet and not the interpreter of the `busted` program. As `moonlet --test` does, but all tests run in
-- the main task, and support.lua says what each may leave behind.
--
--     moonlet tests/run_busted.lua tests/spec/net/net_spec.lua [busted option...]
--
-- Exit status: 0 when all passed, 1 otherwise.

local run = require("moonlet.test.specs").runner()

-- The runner reads the global `arg`. The output is fixed: for a log, whatever stdout is.
if #arg == 0 then
  io.stderr:write("usage: run_busted.lua file_spec.lua...\n")
  os.exit(1)
end
table.insert(arg, 1, "--output=plainTerminal")

-- Not standalone: the specs are the files in `arg`, not this one.
run { standalone = false }
