# Environment variables, and a process that starts with little around it.
. "$(dirname "$0")/support/cases.sh"

same 'LUA_INIT' 'LUA_INIT="x = 5" lua -e "print(x)"; LUA_INIT="print(arg[0], arg[1])" lua -e "" ; echo "print(X)" >s.lua; LUA_INIT="X=tonumber(arg[1])" lua s.lua 3.2'
same 'LUA_INIT_5_4 wins' 'LUA_INIT_5_4="X=10" LUA_INIT="X=3" lua -e "print(X)"; LUA_INIT_5_4="" LUA_INIT="X=3" lua -e "print(X)"'
same 'LUA_INIT names a file' 'echo "x = x or 10; print(x); x = x + 1" >s.lua; LUA_INIT="@s.lua" lua s.lua; LUA_INIT_5_4=@s.lua lua -e ""'
same 'LUA_INIT file gets the arguments' 'echo "print(select(\"#\", ...), ...)" >i.lua; echo >s.lua; LUA_INIT=@i.lua lua s.lua a b; LUA_INIT="print(...)" lua s.lua a b'
same 'LUA_INIT file with a comment line' 'printf "#!x\nprint(1)" >i.lua; LUA_INIT=@i.lua lua -e ""'
same 'LUA_INIT names no file' 'LUA_INIT=@none.lua lua -e "print(1)"; echo $?; LUA_INIT=@ lua -e "print(1)"; echo $?'
same 'error in LUA_INIT' 'LUA_INIT="error(\"msg\")" lua -e "print(1)"; echo $?; LUA_INIT_5_4="error(\"msg\")" lua -e "print(1)"; LUA_INIT="x =" lua -e "print(1)"; LUA_INIT="error({})" lua -e "print(1)"'
same 'error in the file of LUA_INIT' 'echo "local x = nil + 1" >i.lua; LUA_INIT=@i.lua lua -e "print(1)"'
same 'os.exit in LUA_INIT' 'LUA_INIT="os.exit(7)" lua -e "print(1)"; echo $?'
same 'LUA_INIT and -v' 'LUA_INIT="print(1)" lua -v | grep -v moonlet'
same 'LUA_INIT and wrong options' 'LUA_INIT="print(1)" lua -x 2>/dev/null'
same '-E ignores the environment' 'LUA_INIT="error(10)" LUA_PATH=xxx LUA_CPATH=xxx lua -E -e "print(package.path) print(package.cpath)"'
same '-E after others' 'LUA_INIT="error(10)" lua -e "print(1)" -E'

same 'default paths' 'lua -e "print(package.path) print(package.cpath)"; env -i "$(command -v lua)" -e "print(package.path) print(package.cpath)"'
same 'LUA_PATH' 'LUA_PATH=x lua -e "print(package.path)"; LUA_PATH_5_4=y LUA_PATH=x lua -e "print(package.path)"; LUA_PATH= lua -e "print(package.path)"'
same 'LUA_CPATH' 'LUA_CPATH=x lua -e "print(package.cpath)"; LUA_CPATH_5_4=y LUA_CPATH=x lua -e "print(package.cpath)"'
same 'default path for ;;' 'for p in ";" ";;" "a;;b" ";;b" "a;;" "a;b;;c" "a;;b;;c" ";;;"; do LUA_PATH=$p LUA_CPATH=$p lua -e "print(package.path) print(package.cpath)"; done'
same 'a module on LUA_PATH' 'mkdir lib; echo "print(...); return {n=1}" >lib/m.lua; LUA_PATH="lib/?.lua;;" lua -e "local m, f = require \"m\"; print(m.n, f, package.loaded.m == m)"'
same 'a C module of the system' 'lua -e "local ok, lpeg = pcall(require, \"lpeg\"); print(not ok or lpeg.match(lpeg.P\"a\"^1, \"aaab\"))"'

same 'an empty environment' 'env -i "$(command -v lua)" -e "print(os.getenv(\"HOME\"), os.getenv(\"PATH\"), #arg)"'
same 'standard input closed' 'lua -e "print(io.read())" <&-; lua -e "print(io.read(\"a\"))" <&-; lua <&-; lua - <&-; echo $?'
same 'standard output closed' 'lua -e "print(1)" >&-; echo $?; lua -e "io.stderr:write(tostring(io.write(1)))" >&-; echo $?; lua -e "io.write(1); io.stderr:write(tostring(select(2, io.stdout:flush())))" >&-'
same 'standard errors closed' 'lua -e "error(1)" 2>&-; echo $?'
same 'all closed' 'lua -e "os.exit(3)" <&- >&- 2>&-; echo $?'
same 'closed descriptors and a file' 'echo "return 1" >m.lua; LUA_PATH=?.lua lua -e "local f = io.open(\"m.lua\"); io.stderr:write(f:read(\"a\"), tostring(require \"m\"))" <&- >&-'
same 'a removed working directory' 'mkdir d; cd d; rmdir ../d; lua -e "print(1)"; echo $?'
same 'little room for files' 'ulimit -n 12; lua -e "print(1)"; echo $?'
same 'locale' 'LC_ALL=C lua -e "print(os.setlocale())"; LC_ALL=C.UTF-8 lua -e "print(os.setlocale(), os.setlocale(nil, \"numeric\"))"'
if command -v bash >/dev/null; then
    own 'an empty argv[0]' 1 'moonlet: (command line):1: x' 'bash -c "exec -a \"\" lua -e \"error([[x]])\""'
    own 'an empty argv[0] in arg' 0 '[]' 'bash -c "exec -a \"\" lua -e \"print([==[[]==] .. arg[0] .. [==[]]==])\""'
    same 'argv[0] in messages' 'bash -c "exec -a /x/y/z lua -e \"error([[x]])\""; bash -c "exec -a /x/y/z lua -e \"print(arg[0], arg[-1])\""'
fi

finish
