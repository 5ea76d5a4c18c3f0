# A CMake project, compiled by $1, that finds the package and links with each of its targets, in C and in C++.
. "$(dirname "$0")/support/checks.sh"

cc=$1
needs cmake "$cc"
case $cc in
gcc) cxx=g++ ;;
*) cxx=$cc++ ;;
esac
needs "$cxx"
libdir=$(dirname "$(find "$prefix" -name libmoonlet.a)")
smoke=$source/tests/install/support/smoke.lua

check 'configures' cmake -S "$source/tests/install/consumer" -B "$work/build" -G Ninja \
    -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_PREFIX_PATH="$prefix" -DMOONLET_SOURCE="$source"
check 'builds' cmake --build "$work/build"

while read -r target expected; do
    check "$target" equal "$expected" "$("$work/build/${target}_host" "$smoke" 2>&1)"
    check "$target in C++" equal 'Lua 5.4' "$("$work/build/${target}_header" 2>&1)"
done <<END
moonlet all waited
interpose others ran
static all waited
interpose_static others ran
END

# refuses DIRECTORY PREFIX REASON: the project does not configure, for that reason
refuses() {
    cmake -S "$1" -B "$1/build" -G Ninja -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" \
        -DCMAKE_PREFIX_PATH="$2" -DMOONLET_SOURCE="$source" >"$work/refused" 2>&1 && return 1
    cat "$work/refused"
    grep -q "$3" "$work/refused"
}
consumer=$source/tests/install/consumer/CMakeLists.txt
mkdir "$work/later" "$work/same"
sed 's/moonlet 0.1/moonlet 0.99/' "$consumer" >"$work/later/CMakeLists.txt"
cp "$consumer" "$work/same"
check 'another minor version is refused' refuses "$work/later" "$prefix" 'version: 0.1'

# A part that was taken away is told when it is looked for, not when it is linked.
cp -r "$prefix" "$work/moved"
rm "$work/moved/${libdir#"$prefix/"}/libmoonlet.a"
check 'a part that is missing is named' refuses "$work/same" "$work/moved" 'libmoonlet.a'
finish
