# A host that opens libmoonlet.so with dlopen(), for the whole process or for itself alone; C modules find Lua's functions
# in both cases.
. "$(dirname "$0")/support/checks.sh"

cc=${CC:-gcc}
needs "$cc" readelf
library=$(find "$prefix" -name libmoonlet.so)
check 'the host is compiled' "$cc" -O2 -Wall -Werror -I"$prefix/include" -o "$work/host" \
    "$source/tests/install/support/plugin_host.c" -ldl
check 'it is linked with libc alone' equal 'libc.so.6' \
    "$(readelf -d "$work/host" | sed -n 's/.*NEEDED.*\[\(.*\)\].*/\1/p')"

# C modules of the distribution, those that are installed.
cat >"$work/modules.lua" <<'END'
for _, name in ipairs { "lpeg", "socket", "cjson", "lxp" } do
  local ok, message = pcall(require, name)
  if not ok and not message:find("module '" .. name .. "' not found", 1, true) then error(message) end
  io.write(ok and name .. " " or "")
end
if package.loaded.lpeg then
  local task, lpeg = require "moonlet.task", require "lpeg"
  local slow = lpeg.Cmt(lpeg.P "a", function() task.sleep(0.001) return true end)
  assert((slow ^ 3):match "aaa" == 4)
end
END

for scope in local global; do
    runs() { env ${2:+"$2"} "$work/host" "$library" "$scope" "$1" 2>&1; }
    check "$scope" equal "$(printf 'all waited\nall waited')" "$(runs "$source/tests/install/support/smoke.lua" '')"
    check "$scope, with libc's names" equal "$(printf 'others ran\nothers ran')" \
        "$(runs "$source/tests/install/support/smoke.lua" "LD_PRELOAD=$(dirname "$library")/libmoonlet_interpose.so")"
    check "$scope, C modules of others" runs "$work/modules.lua" ''
    echo "$scope: $(runs "$work/modules.lua" '')"
done
finish
