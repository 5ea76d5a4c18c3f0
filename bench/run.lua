--- Runs the benchmarks, prints tables, writes the figures as JSON and draws a plot of some.
--
--     build/release/moonlet bench/run.lua [--quick] [--only NAME,...] [--peers] [--json FILE]
--         [--plot FILE]
--
-- --peers: other runtimes that are installed are measured in the same run.
-- Plain Lua: any Lua 5.4 can run it. The program measured is $MOONLET, or the one that runs this
-- script; the C programs are looked for in $BENCH_BIN (build/release/bench). What is missing is
-- reported and left out.
local bench = arg[0]:match("^(.*)/") or "."
package.path = bench .. "/lib/?.lua;" .. bench .. "/suites/?.lua;" .. package.path

local contestants = require "contestants"
local json = require "json"
local machine = require "machine"
local plot = require "plot"
local process = require "process"

local suites = {
  "micro", "sleepers", "echo", "http", "websocket", "udp", "lines", "bulk", "tls", "handshakes",
  "flat", "idle",
  "startup", "syscalls", "libc_calls", "slow", "slow_http", "https", "http_client",
  "http_idle", "flood", "preempt", "documents", "files", "sqlite", "postgres", "watch",
  "children", "threads", "metrics", "profile", "trace", "dump", "debugger", "durable", "workers",
  "workers_reload",
  "messages", "store",
}

local function fail_usage(message)
  io.stderr:write("run.lua: ", message, "\n",
    "usage: run.lua [--quick] [--only NAME,...] [--peers] [--json FILE] [--plot FILE]\n",
    "names: ", table.concat(suites, " "), "\n")
  os.exit(2)
end

local function parse_names(text)
  local known, chosen = {}, {}
  for _, name in ipairs(suites) do known[name] = true end
  for name in text:gmatch("[^,]+") do
    if not known[name] then fail_usage("no benchmark is called " .. name) end
    chosen[name] = true
  end
  return chosen
end

local function parse(words)
  local options, i = {}, 1
  local function value()
    i = i + 1
    return words[i] or fail_usage(words[i - 1] .. " needs a value")
  end
  while words[i] do
    local word = words[i]
    if word == "--quick" then options.quick = true
    elseif word == "--peers" then options.peers = true
    elseif word == "--only" then options.only = parse_names(value())
    elseif word == "--json" then options.json = value()
    elseif word == "--plot" then options.plot = value()
    else fail_usage("unknown option " .. word) end
    i = i + 1
  end
  return options
end

-- The word before all options and the script's name: the program that runs this script.
local function interpreter()
  local first = 0
  while arg[first - 1] do first = first - 1 end
  return arg[first]
end

local function top_directory()
  local top = bench:match("^(.*)/bench$")
  if top then return top end
  return bench == "bench" and "." or bench .. "/.."
end

local function make_directory_of(path)
  local directory = path:match("^(.*)/")
  if directory then os.execute("mkdir -p " .. process.quote(directory)) end
end

local function write_json(path, results)
  make_directory_of(path)
  local file = assert(io.open(path, "w"))
  file:write(json.encode(results), "\n")
  file:close()
  print("\nfigures in " .. path)
end

local function run_suites(options, all)
  local results = {
    date = os.date("!%Y-%m-%dT%H:%M:%SZ"),
    quick = options.quick or false,
    machine = machine.describe(),
  }
  for _, name in ipairs(suites) do
    if not options.only or options.only[name] then
      results[name] = require(name).run(all, options.quick)
    end
  end
  return results
end

local function main()
  local options = parse(arg)
  local build = top_directory() .. "/build"
  local all = contestants.new {
    bench = bench,
    build = build,
    bin = os.getenv("BENCH_BIN") or build .. "/release/bench",
    moonlet = os.getenv("MOONLET") or interpreter(),
    peers = options.peers,
  }
  local guard <close> = process.guard() -- luacheck: ignore 211
  local results = run_suites(options, all)
  write_json(options.json or build .. "/bench.json", results)
  local picture = options.plot or build .. "/bench.svg"
  make_directory_of(picture)
  plot.write(results, picture)
end

main()
