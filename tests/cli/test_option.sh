# moonlet --test: specs of busted, each test in a task.
. "$(dirname "$0")/support/cases.sh"

write='
mkdir spec
cat >spec/waits_spec.lua <<"END"
local task, test = require "moonlet.task", require "moonlet.test"
describe("a test", function()
  local first
  it("runs in a task of its own", function()
    first = task.current()
    task.spawn({ name = "left behind" }, task.sleep, 1000)
    task.sleep(0.001)
    assert.equal("runs in a task of its own", first.name)
  end)
  it("meets nothing of the one before", function()
    assert.not_equal(first, task.current())
    assert.equal(2, #task.list())
  end)
  it("has a clock that jumps", function()
    local clock <close> = test.virtual_clock()
    task.sleep(3600)
  end)
end)
END
cat >fails_spec.lua <<"END"
it("fails", function() require("moonlet.task").sleep(0.001) assert.equal(1, 2) end)
it("is cancelled", function() require("moonlet.task").current():cancel() require("moonlet.task").sleep(1) end)
it("passes", function() end)
END
'

if "$MOONLET" -e 'require "busted.core"' 2>/dev/null; then
    own 'the directory spec' 0 '3 successes / 0 failures / 0 errors' "$write lua --test --output=plainTerminal"
    own 'a file' 0 '3 successes' "$write lua --test spec/waits_spec.lua --output=plainTerminal"
    own "busted's own options" 0 '1 success / 0' "$write lua --test --output=plainTerminal --filter=clock"
    own 'failures and errors, with their places' 1 'fails_spec.lua:1: Expected objects' "$write lua --test fails_spec.lua --output=plainTerminal"
    own 'a test that is cancelled has failed, and the next one runs' 1 '1 success / 1 failure / 1 error' "$write lua --test fails_spec.lua --output=plainTerminal"
    own 'no such file' 1 'nothing_spec.lua' "$write lua --test nothing_spec.lua --output=plainTerminal"
fi
own 'busted is not there' 1 'needs busted (the package lua-busted' 'lua -e "package.searchers = { package.searchers[1] }" --test'

finish
