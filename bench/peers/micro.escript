#!/usr/bin/env escript
%% What one switch and one process cost, on one scheduler.
%%! +S 1:1
-mode(compile).

-define(REPETITIONS, 5).
-define(BATCH, 1000).

main(_) ->
    report("yield", 2000000, fun yield_between_two/1),
    report("spawn_finish", 1000000, fun spawn_finish/1).

report(Name, Operations, Body) ->
    Results = lists:sort([time(Operations, Body) || _ <- lists:seq(1, ?REPETITIONS)]),
    io:format("{\"name\":\"~s\",\"unit\":\"ns\",\"median\":~.2f,\"min\":~.2f,\"repetitions\":~b}~n",
              [Name, lists:nth((?REPETITIONS + 1) div 2, Results), hd(Results), ?REPETITIONS]).

time(Operations, Body) ->
    erlang:garbage_collect(),
    Start = erlang:monotonic_time(nanosecond),
    Body(Operations),
    (erlang:monotonic_time(nanosecond) - Start) / Operations.

yield_between_two(Switches) ->
    Parent = self(),
    Yielder = fun() -> yield(Switches div 2), Parent ! ended end,
    spawn(Yielder),
    spawn(Yielder),
    wait_for(2).

yield(0) -> ok;
yield(Count) -> erlang:yield(), yield(Count - 1).

wait_for(0) -> ok;
wait_for(Count) -> receive ended -> wait_for(Count - 1) end.

spawn_finish(Count) when Count =< 0 -> ok;
spawn_finish(Count) ->
    Counter = atomics:new(1, []),
    spawn_batch(?BATCH, fun() -> atomics:add(Counter, 1, 1) end),
    wait_until(Counter),
    spawn_finish(Count - ?BATCH).

spawn_batch(0, _) -> ok;
spawn_batch(Count, Body) -> spawn(Body), spawn_batch(Count - 1, Body).

wait_until(Counter) ->
    case atomics:get(Counter, 1) of
        ?BATCH -> ok;
        _ -> erlang:yield(), wait_until(Counter)
    end.
