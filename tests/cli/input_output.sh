# Scripts from files, pipes and standard input; reading, writing, other programs.
. "$(dirname "$0")/support/cases.sh"

same 'a script from standard input' 'echo "print(10)
print(2)" | lua; printf "" | lua -; printf "print(\n1, a\n)" | lua -; printf "print(1)" >f; lua <f; lua - <f; lua -- - <f; echo $?'
same 'a comment on the first line' 'printf "#!/usr/bin/lua\nprint(debug.getinfo(1).currentline)" >f; lua f; lua <f; printf "#comment without end" >f; lua f; echo $?; printf "# x\n\n\nerror(\"line 4\")" >f; lua f'
same 'a comment is not skipped in -e' 'lua -e "# x
print(1)"; echo $?'
same 'a byte order mark' 'printf "\357\273\277" >f; lua f; printf "\357\273\277print(3)" >f; lua f; printf "\357\273\277# c\nprint(3)" >f; lua f; lua <f'
same 'half a byte order mark' 'for s in "\357" "\357\273" "\357print(3)" "\357\273print(3)"; do printf "$s" >f; lua f; echo $?; done'
same 'a binary chunk' 'lua -e "io.open(\"f\", \"wb\"):write(string.dump(load(\"print(3, ...)\"))):close()"; lua f a; lua <f; lua - x <f'
same 'a binary chunk after a comment' 'lua -e "io.open(\"f\", \"wb\"):write(\"#comment\n\" .. string.dump(load(\"print(3)\"))):close()"; lua f; lua <f; true'
own 'a failing chunk from standard input' 1 'stdin:1: x' 'echo "error([[x]])" | lua'
same 'a stripped chunk that fails' 'lua -e "io.open(\"f\", \"wb\"):write(string.dump(load(\"local x = nil; x()\"), true)):close()"; lua f; echo $?'
same 'a damaged chunk' 'lua -e "io.open(\"f\", \"wb\"):write((string.dump(load(\"print(3)\")):sub(1, 40))):close(); io.open(\"g\", \"wb\"):write(\"\27Lua\"):close()"; lua f; lua g; echo $?'
same 'zero bytes' 'printf "print(1)\0print(2)" >f; lua f; echo $?; printf "print(\"a\0b\" == \"a\\\\0b\")" >f; lua f'
same 'lines that end in CRLF' 'printf "print(1)\r\nprint(2)\r\n" >f; lua f'
same 'a script that is a pipe' 'mkfifo p; echo "print(1, ...)" >p & lua p a; wait'
same 'a script that is /dev/stdin' 'echo "print(1)" | lua /dev/stdin; lua /dev/null; echo $?'
same 'a large script' 'lua -e "for i = 1, 20000 do print(\"x\" .. i .. \" = \" .. i) end print(\"print(x20000)\")" >f; lua f; lua <f'

same 'a closed pipe' '(lua -e "for i = 1, 1000000 do print(i) end"; echo $? >status) | head -1; cat status'
same 'a closed pipe, io.write' '(lua -e "for i = 1, 1000000 do assert(io.write(i, \"\n\")) end"; echo $? >status) | head -1; cat status'
same 'a closed pipe, standard errors' '{ (lua -e "for i = 1, 100000 do io.stderr:write(i, \"\n\") end"; echo $? >status) 2>&1 >/dev/null; } | head -1; cat status'
# lua5.4 is killed by the signal.
own 'a command that has ended' 0 'true	nil	Broken pipe	32' 'lua -e "local p = io.popen(\"exec <&-; : >gone\", \"w\"); os.execute(\"until [ -e gone ]; do sleep 0.01; done\"); print(pcall(p.write, p, (\"x\"):rep(100000))); print(p:close())"'
same 'a closed pipe, ignored' '(trap "" PIPE; lua -e "for i = 1, 100000 do local ok, m, c = io.write(i, \"\n\"); if not ok then io.stderr:write(m, c); os.exit(4) end end"; echo $? >status) | head -1; cat status'
same 'a full disk' 'test -w /dev/full && lua -e "print(1) print(io.stdout:flush())" >/dev/full; echo $?; lua -e "local f = io.open(\"/dev/full\", \"w\"); f:write(1); io.stderr:write(tostring(f:close()))"'
same 'large output' 'lua -e "for i = 1, 300000 do print(i, i * 2) end" | cksum; lua -e "io.write((\"x\"):rep(1 << 24))" | cksum; lua -e "print((\"y\"):rep(100000))" >f; cksum <f'
same 'buffering of a pipe' 'lua -e "io.write(1); io.stderr:write(2); io.write(3)" 2>&1 | cat'
same 'setvbuf' 'lua -e "io.stdout:setvbuf(\"no\"); io.write(1); io.stderr:write(2); io.write(3)" 2>&1 | cat; lua -e "io.stdout:setvbuf(\"line\"); io.write(\"1\n4\"); io.stderr:write(2); io.write(3)" 2>&1 | cat'

same 'io.read' 'printf "one\ntwo\n3 4.5 0x10 rest\nlast" | lua -e "print(io.read()) print(io.read(\"L\")) print(io.read(\"n\", \"n\", \"n\")) print(io.read(2, 0)) print(io.read(\"a\")) print(io.read()) print(io.read(\"a\"))"'
same 'io.lines' 'seq 5 | lua -e "for l in io.lines() do io.write(l, \";\") end"; seq 5 | lua -e "for a, b in io.lines(nil, 1, \"l\") do print(a, b) end"; lua -e "for l in io.lines(\"none\") do end"; lua -e "for l in io.lines() do end"; echo $?'
same 'the script and its data in one stream' 'printf "print(io.read())\nprint(io.read(\"a\"))" | lua -; (echo "local x = io.read(\"a\"); print(#x)"; seq 20000) | lua -e "load(io.read())()"'
same 'a large input' 'seq 200000 | lua -e "local n = 0; for l in io.lines() do n = n + #l end print(n)"; seq 200000 | lua -e "print(#io.read(\"a\"))"'
same 'input that comes slowly' '(echo a; sleep 0.1; echo b; sleep 0.1; printf c) | lua -e "for l in io.lines() do print(l) end"'
same 'input is given on' 'printf "first\nsecond\n" | lua -e "io.stdin:setvbuf(\"no\"); print(io.read()); os.execute(\"cat\")"'

same 'popen' 'lua -e "local p = io.popen(\"echo a; echo b; exit 3\"); print(p:read(\"a\")); print(p:close()); p = io.popen(\"cat\", \"w\"); p:write(\"x\n\"); print(p:close()); print(pcall(io.popen, \"x\", \"rw\")); print(io.popen(\"kill -9 \\$\\$\"):close())"'
same 'popen lines' 'lua -e "for l in io.popen(\"seq 3\"):lines() do print(l) end; local p = io.popen(\"exec sleep 0.2; exit 1\"); print(p:close())"'
same 'execute' 'lua -e "print(os.execute()) print(os.execute(\"true\")) print(os.execute(\"exit 7\")) print(os.execute(\"kill -15 \\$\\$\")) print(os.execute(\"no_such_command 2>/dev/null\"))"'
same 'execute keeps the order of output' 'lua -e "print(1) io.stdout:flush() os.execute(\"echo 2\") print(3)"'
same 'children inherit plain signals' 'lua -e "os.execute(\"sh -c \\\"trap\\\"; grep SigBlk /proc/self/status\")"'
same 'descriptors of a child' 'exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; lua -e "os.execute(\"ls /proc/self/fd\")"'
same 'tmpname, rename, remove' 'lua -e "local n = os.tmpname(); print(n:match(\"^/tmp/lua_%w+$\") ~= nil, os.remove(n)); print(os.remove(\"none\")) print(os.rename(\"none\", \"x\")) print(io.open(\"none\")) print(pcall(io.lines, \"none\"))"'
same 'debug.debug' 'echo "io.stderr:write(1000)
cont" | lua -e "require\"debug\".debug()"; echo $?; printf "error(\"x\")\nx = \nprint(5)\n" | lua -e "debug.debug() print(6)"; printf "y = 3\ncont\nrest" | lua -e "debug.debug() print(y, io.read())"'
same 'print' 'lua -e "print(1, nil, true, 1.5, 2^63, -0.0, 1e100, \"\\0x\") print() print(print ~= nil, {} ~= {}, 0/0 ~= 0/0, math.huge, -math.huge, math.mininteger)"'
same 'seek' 'printf "abcdef" >f; lua -e "print(io.read(1), io.stdin:seek(\"set\", 4), io.read(\"a\"))" <f; echo x | lua -e "print(io.stdin:seek())"'

finish
