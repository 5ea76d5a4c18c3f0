-- Runs busted on the given spec files inside the interpreter that runs this script, so that the
-- specs test moonlet and not the interpreter of the `busted` program.
--
--     moonlet tests/run_busted.lua tests/spec/net_spec.lua [busted option...]
--
-- Exit status: 0 when all passed, 1 otherwise.

-- Debian keeps busted under each Lua version; where it is only under 5.1, it is pure Lua and
-- serves as well. Its C modules (lfs, system, term) have builds for 5.4 and are found by cpath.
package.path = package.path .. ";/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua"

local found, run = pcall(require, "busted.runner")
if not found then
  io.stderr:write("run_busted: cannot load busted (Debian package: lua-busted)\n", run, "\n")
  os.exit(1)
end

-- The runner reads the global `arg`. The output is fixed: for a log, whatever stdout is.
if #arg == 0 then
  io.stderr:write("usage: run_busted.lua file_spec.lua...\n")
  os.exit(1)
end
table.insert(arg, 1, "--output=plainTerminal")

-- Not standalone: the specs are the files in `arg`, not this one.
run { standalone = false }
