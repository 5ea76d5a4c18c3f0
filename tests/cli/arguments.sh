# The command line: arg, options, libraries.
. "$(dirname "$0")/support/cases.sh"

show='local t = {}
for i = -10, 10 do if arg[i] then t[#t + 1] = i .. "=" .. arg[i] end end
print(#arg, table.concat(t, " "))
print("...", ...)'
export show

same 'arg of a script' 'echo "$show" >s.lua; lua s.lua; lua s.lua a b; lua ./s.lua "" "a b"'
same 'arg after options' 'echo "$show" >s.lua; lua -E -W s.lua a; lua -e "x=1" -- s.lua a -e; lua "-e " -- s.lua a b c'
same 'arg of standard input' 'echo "$show" | lua; echo "$show" | lua -; echo "$show" | lua - -h x; echo "$show" | lua -E -- - a'
same 'arg in -e' 'lua -e "$show"; lua -e "print(arg[0], arg[1], arg[2], #arg)" -W'
same 'arg in a library' 'echo "print(arg[0], arg[1], ...)" >lib.lua; echo "print(arg[0])" >s.lua; LUA_PATH="?.lua" lua -llib s.lua x'
same 'options after the script are its own' 'echo "$show" >s.lua; lua s.lua -e "error()" -i -v --'
same 'arg changed before the script' 'echo "print(...)" | lua -e "arg[1] = 100" -'
same 'arg is no table' 'echo "print(1)" | lua -e "arg = 1" -'
same 'arg removed' 'echo "print(1)" >s.lua; lua -e "arg = nil" s.lua'
same 'arg with __index and __len' 'echo "print(...)" | lua -e "setmetatable(arg, {__len = function() return 3 end, __index = function(t, k) return k end})" -'
same 'many arguments' 'echo "print(#arg, select(\"#\", ...), (select(30, ...)))" >s.lua; lua s.lua $(seq 30000)'
same 'arguments beyond the stack' 'echo "print(#arg)" >s.lua; lua -e "for i = 1, 1000000 do arg[i] = i end" s.lua'

same 'several -e' 'lua -e "print(1)" -ea=3 -e "print(a)"; lua "-eprint(1)" -ea=3 -e "print(a)"; lua -e ""; lua -e " "'
same '-e sees a vararg' 'lua -e "print(...)" -e "print(select(\"#\", ...))"'
same '-e shares globals with the script' 'echo "print(x, _ENV == _G)" >s.lua; lua -e "x = 5; local y = 6" s.lua'
same '-e returns a value' 'lua -e "return 5"; echo $?'
same '-e then standard input is not read' 'echo "print(1)" | lua -e "print(2)"'
same '-l' 'lua -lstring -l io -e "print(string.len(\"abc\"), io == require \"io\")"'
same '-l into a global' "lua -l 's=string' '-lm=math' -e 'print(s.upper(\"a\"), m.sin(0))'"
same '-l runs once' 'echo "print(1); a=2; return {x=15}" >p.lua; echo "print(a); print(_G.p.x)" >q.lua; LUA_PATH="?.lua" lua -l p -lq -lstring -l io q.lua'
same '-l of a missing module' 'lua -l no.such.module -e "print(1)"; echo $?'
same '-l of a failing module' 'echo "error(\"bad\")" >f.lua; LUA_PATH=?.lua lua -lf -e "print(1)"; echo "x =" >g.lua; LUA_PATH=?.lua lua -lg'
same '-l with a dot' 'mkdir d; echo "return {v=1}" >d/e.lua; LUA_PATH="?.lua" lua -l d.e -e "print(_G[\"d.e\"].v)"'
same '-l with an empty name' 'echo "return 1" >m.lua; LUA_PATH="?.lua" lua -l =m -e "print(_G[\"\"])"'
same '-l with a metatable on _G' 'lua -e "setmetatable(_G, {__newindex = function(t, k, v) print(k); rawset(t, k, v) end})" -l m=math'
same '-l with a metatable that fails' 'lua -e "setmetatable(_G, {__newindex = function(t, k, v) error(\"no \" .. k) end})" -l m=math; echo $?'
same '-v' 'lua -v | grep Lua; lua -v -e "print(1)" | grep -v moonlet; lua -E -v -W | grep Lua; echo "print(2)" >s.lua; lua -v s.lua | grep -v moonlet'
same '-v does not read standard input' 'echo "print(1)" | lua -v | grep -v moonlet'
same '-v -' 'echo "print(1)" | lua -v - | grep -v moonlet'
same '-W alone reads standard input' 'echo "warn(\"w\"); print(1)" | lua -W'
same '-E alone reads standard input' 'echo "print(1)" | lua -E'
same '-- alone reads standard input' 'echo "print(1)" | lua --'
same '-- before a name with a dash' 'echo "print(...)" >-s.lua; lua -- -s.lua a'
same 'an empty script name' 'lua ""; echo $?'
same 'status of wrong options' 'for o in -h --- -Ex -vv -iv -Wx -x -e -l "-e -v" --no-such-option -ivx; do lua $o 2>/dev/null; echo $?; done; lua -l "" -e "" 2>/dev/null; echo $?'
same 'syntax error in -e' 'lua -e a; echo $?; lua -e "x = = 1"; lua -e "print(1" -e "print(2)"'
same 'an error in the first -e stops' 'lua -e "error(\"x\")" -e "print(2)"; echo $?'

for option in -h --- -Ex -vv -iv -x --no-such-option; do
    own "unrecognized $option" 1 "lua: unrecognized option '$option'" "lua $option"
done
own '-e without an argument' 1 "'-e' needs argument" 'lua -e'
own '-l without an argument' 1 "'-l' needs argument" 'lua -l'
own '-e before an option' 1 "'-e' needs argument" 'lua -e -v'
own 'usage' 1 'usage: lua [options] [script [args]]' 'lua -h'
own 'a wrong option runs nothing' 1 "unrecognized option '-x'" 'lua -e "print(1)" -x; status=$?; lua -e "print(1)" -x 2>/dev/null | grep -q . && exit 9; exit $status'
own '--help' 0 '-e stat' 'lua --help'
for option in -v --version; do
    own "$option tells the version of Lua" 0 'Lua 5.4' "lua $option"
    own "$option tells its own" 0 'moonlet 0.' "lua $option"
done
own '--stack-size of nonsense' 1 'needs a size' 'lua --stack-size=x -e ""'
own '--web without --attach' 1 "'--web' needs --attach PID" 'lua --web -e ""'
own '--inspect-write without --inspect' 1 "'--inspect-write' needs --inspect" 'lua --inspect-write -e ""'
own '--inspect-remote without --inspect' 1 "'--inspect-remote' needs --inspect=HOST:PORT" 'lua --inspect-remote -e ""'
own 'their order is free' 0 '7' 'lua --inspect-write --inspect -e "print(7)" 2>/dev/null'
own '--stack-size' 0 '7' 'lua --stack-size 1M -e "print(7)"'

finish
