# moonlet --profile: a profile of the whole program, however it ends.
. "$(dirname "$0")/support/cases.sh"

script='cat >s.lua <<"END"
local how = ...
local function burn() local stop = os.clock() + 0.2 while os.clock() < stop do end end
burn()
if how == "error" then error "oops" end
if how == "exit" then os.exit(3) end
if how == "close" then os.exit(4, true) end
if how == "nested" then require("moonlet.task").spawn(coroutine.wrap(function() os.exit(5) end)) end
if how == "wait" then print "waits" io.stdout:flush() require("moonlet.task").sleep(100) end
if how == "change" then string, table, io.open, math.floor = nil end
if how == "meta" then getmetatable("").__index = function() error "no" end end
if how == "memory" then local t = {} for i = 1, 1e5 do t[i] = { t } end end
END
'
own 'at the end' 0 ' samples in ' "$script"'lua --profile p.folded s.lua; cat p.folded'
own 'the samples' 0 'main chunk (s.lua);burn (s.lua:2);os.clock ' "$script"'lua --profile p.folded s.lua; cat p.folded'
own '--profile=FILE' 0 '</svg>' "$script"'lua --profile=p.svg s.lua; cat p.svg'
own 'after an error' 1 'burn (s.lua:2)' "$script"'lua --profile p.txt s.lua error; status=$?; cat p.txt; exit $status'
own 'after os.exit' 3 'burn (s.lua:2)' "$script"'lua --profile p.txt s.lua exit; status=$?; cat p.txt; exit $status'
own 'after os.exit that closes' 4 'burn (s.lua:2)' "$script"'lua --profile p.txt s.lua close; status=$?; cat p.txt; exit $status'
own 'after os.exit in a generator' 5 'burn (s.lua:2)' "$script"'lua --profile p.txt s.lua nested; status=$?; cat p.txt; exit $status'
own 'of a script that changes the library' 0 'burn (s.lua:2)' "$script"'lua --profile p.svg s.lua change; cat p.svg'
own 'of a script that changes strings' 0 'burn (s.lua:2)' "$script"'lua --profile p.svg s.lua meta; cat p.svg'
own 'with the smallest stacks' 5 'samples in' "$script"'lua --stack-size 64K --profile p.svg s.lua nested'

for signal in TERM HUP; do
    own "after SIG$signal" 0 'burn (s.lua:2)' "$script"'mkfifo f; lua --profile p.txt s.lua wait >f & read -r _ <f
kill -'$signal' $!; wait $!; cat p.txt' 2>/dev/null
done

own 'as speedscope reads it' 0 '"$schema":"https://www.speedscope.app/file-format-schema.json"' "$script"'lua --profile p.json s.lua; cat p.json'
own 'as pprof reads it' 0 'ok' "$script"'lua --profile p.pb.gz s.lua; gzip -t p.pb.gz && gzip -dc p.pb.gz | grep -q burn && echo ok'

own 'the file is as it was until the end' 0 'old' "$script"'echo old >p.txt; cp s.lua t.lua; echo "os.execute [[cat p.txt]]" >>t.lua
lua --profile p.txt t.lua'
own 'a file that cannot be written' 1 'cannot write /nowhere/p.svg: No such file' 'lua --profile /nowhere/p.svg -e "print(1)"'
own 'a directory' 1 'cannot write d.svg: Is a directory' 'mkdir d.svg; lua --profile d.svg -e "print(1)"'
own 'an unknown ending' 1 "'--profile' needs a file" 'lua --profile p.dat -e "print(1)"'
own 'no file' 1 "'--profile' needs a file" 'lua --profile'
own 'a full disk' 0 'cannot write the profile /dev/full.txt: No space left' "$script"'ln -s /dev/full full.txt; lua --profile full.txt s.lua 2>&1 | sed "s|full.txt|/dev/full.txt|"'
own 'a child of the script leaves the file alone' 0 'burn ((command' "$script"'lua --profile p.txt s.lua; lua --profile p.txt -e "os.execute [[true]] local s = os.clock() + 0.1 local function burn() while os.clock() < s do end end burn() os.execute [[true]]"; cat p.txt'
finish
