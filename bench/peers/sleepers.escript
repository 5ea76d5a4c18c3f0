#!/usr/bin/env escript
%% N processes sleep SECONDS. Usage: sleepers.escript N SECONDS
%%! +P 4000000
-mode(compile).

main([Count0, Seconds0]) ->
    Count = list_to_integer(Count0),
    Pause = round(number(Seconds0) * 1000),
    Parent = self(),
    %% Shared counters: a message from each process would cost more than the process.
    Started = atomics:new(1, []),
    Ended = atomics:new(1, []),
    Before = rss_kb(),
    Start = erlang:monotonic_time(microsecond),
    spawn_sleepers(Count, fun() ->
        atomics:add(Started, 1, 1),
        timer:sleep(Pause),
        atomics:add_get(Ended, 1, 1) =:= Count andalso (Parent ! all_ended)
    end),
    wait_for(Started, Count),
    Asleep = Count - atomics:get(Ended, 1),
    During = rss_kb(),
    receive all_ended -> ok end,
    Total = (erlang:monotonic_time(microsecond) - Start) / 1.0e6,
    io:format("{\"n\":~b,\"seconds\":~.6f,\"asleep\":~b,\"rss_kb_per_task\":~.3f}~n",
              [Count, Total, Asleep, (During - Before) / Count]).

spawn_sleepers(0, _) -> ok;
spawn_sleepers(Count, Sleeper) ->
    spawn(Sleeper),
    spawn_sleepers(Count - 1, Sleeper).

wait_for(Counter, Count) ->
    case atomics:get(Counter, 1) of
        Count -> ok;
        _ -> erlang:yield(), wait_for(Counter, Count)
    end.

number(Text) ->
    try list_to_float(Text) catch error:badarg -> float(list_to_integer(Text)) end.

rss_kb() ->
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [KB]} = re:run(Status, "VmRSS:\\s*(\\d+)", [{capture, all_but_first, list}]),
    list_to_integer(KB).
