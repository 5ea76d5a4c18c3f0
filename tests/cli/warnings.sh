# The function warn and the option -W.
. "$(dirname "$0")/support/cases.sh"

same 'off at first' 'lua -e "warn(\"x\")"; lua -W -e "warn(\"x\")"; lua -e "warn(\"@on\") warn(\"x\")"; echo "io.stderr:write(1); warn[[XXX]]" | lua'
same '-W is for all' 'LUA_INIT="warn(\"early\")" lua -e "warn(\"before\")" -W -e "warn(\"after\")"'
same 'controls' 'printf "%s\n" "warn(\"@allow\")" "warn(\"@off\", \"XXX\", \"@off\")" "warn(\"@off\")" "warn(\"@on\", \"YYY\", \"@on\")" "warn(\"@off\")" "warn(\"@on\")" "warn(\"\", \"@on\")" "warn(\"@on\")" "warn(\"Z\", \"Z\", \"Z\")" "warn(\"@\")" "warn(\"@@on\")" "warn(\"\")" >s.lua; lua -W s.lua'
same 'wrong arguments' 'lua -W -e "print(pcall(warn)) print(pcall(warn, \"NOT SEEN\", {})) print(pcall(warn, 1, 2.5)) print(pcall(warn, nil))"'
same 'finalizers that fail' 'lua -W -e "setmetatable({}, {__gc = function() error(\"XYZ\") end}) collectgarbage() print(1)"; lua -e "setmetatable({}, {__gc = function() error(\"XYZ\") end}) collectgarbage() print(1)"; lua -W -e "setmetatable({}, {__gc = function() error({}) end}) collectgarbage()"; lua -W -e "setmetatable({}, {__gc = function() error() end}) collectgarbage()"'
same 'finalizers that fail at the end' 'lua -W -e "u1 = setmetatable({}, {__gc = function() error(\"XYZ\") end}) u2 = setmetatable({}, {__gc = function() error(\"ZYX\") end})"; echo $?'
same 'controls at the end of a message' 'lua -e "warn(\"x\", \"@on\") warn(\"y\")"; lua -e "warn(\"@on\") warn(\"x\", \"@off\") warn(\"y\")"'
same 'in coroutines' 'lua -W -e "coroutine.wrap(function() warn(\"in\", \"side\") end)()"'
same 'printing does not mix' 'lua -W -e "io.write(\"a\") warn(\"b\") print(\"c\")" 2>&1 | cat'

finish
