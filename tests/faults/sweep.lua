-- Lets each system call and each allocation of a scenario fail once, in turn, and looks how the program
-- takes it: it ends with status 0, or with 1 and a message; it never crashes, hangs, or leaves something behind.
--
--     moonlet tests/faults/sweep.lua PROGRAM CALL ERRNO [STEP [BYTES [SCENARIO [PRELOADED]]]]
--
-- PROGRAM is moonlet with tests/faults/faults.c in it; every STEP-th call is made to fail (1);
-- BYTES: of the longest line sent; SCENARIO: another script than tests/faults/scenario.lua; PRELOADED: the library
-- that makes the calls fail, for a program that has no faults.c in it.

local program, call, number = arg[1], arg[2], tonumber(arg[3])
local stride, bytes = tonumber(arg[4] or 1), tonumber(arg[5] or 300000)
local scenario = arg[6] or "tests/faults/scenario.lua"
local preloaded = arg[7] and ("LD_PRELOAD='%s' "):format(arg[7]) or ""

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function run(command)
  local pipe = assert(io.popen("{ " .. command .. "\n} 2>&1"))
  local output = pipe:read("a")
  local _, how, status = pipe:close()
  return output, how == "signal" and 128 + status or status
end

-- Only the scenario of all things has TLS.
local credentials = not arg[6] and dofile "tests/spec/tls_support.lua"
if credentials then credentials.make() end
local directory = credentials and credentials.file "." or ""

local function failing(count)
  return run(("ML_FAULT=%s,%d,%d %stimeout 60 %s %s %s %d"):format(
    call, count, number, preloaded, quote(program), scenario, quote(directory), bytes))
end

local count, wrong, reached = 1, 0, true
while reached do
  local output, status = failing(count)
  reached = output:find("fault reached", 1, true) ~= nil
  local message = output:gsub("fault reached\n", "")
  if status > 1 or (status == 1 and message == "") then
    wrong = wrong + 1
    print(("the %d. %s fails with %d: exit status %d\n%s"):format(count, call, number, status, message))
  end
  count = count + stride
end
if credentials then credentials.remove() end
print(("%s, errno %d: %d calls made to fail, %d taken badly"):format(call, number, (count - 1) // stride - 1, wrong))
os.exit(wrong == 0 and count > 1 + stride)
