// What one switch and one goroutine cost, on one processor as a green thread runtime has it.
package main

import (
	"fmt"
	"runtime"
	"sort"
	"sync"
	"time"
)

const repetitions = 5

// report prints the median and the best of some repetitions, in nanoseconds per operation.
func report(name string, operations int, body func(int)) {
	var results []float64
	for i := 0; i < repetitions; i++ {
		start := time.Now()
		body(operations)
		results = append(results, float64(time.Since(start).Nanoseconds())/float64(operations))
	}
	sort.Float64s(results)
	fmt.Printf("{\"name\":%q,\"unit\":\"ns\",\"median\":%.2f,\"min\":%.2f,\"repetitions\":%d}\n",
		name, results[repetitions/2], results[0], repetitions)
}

func yieldBetweenTwo(switches int) {
	var both sync.WaitGroup
	both.Add(2)
	for i := 0; i < 2; i++ {
		go func() {
			for n := 0; n < switches/2; n++ {
				runtime.Gosched()
			}
			both.Done()
		}()
	}
	both.Wait()
}

func spawnAndFinish(count int) {
	const batch = 1000
	var all sync.WaitGroup
	for done := 0; done < count; done += batch {
		all.Add(batch)
		for i := 0; i < batch; i++ {
			go all.Done()
		}
		all.Wait()
	}
}

// Messages from a producer to a consumer through a channel of that capacity.
func channelOf(capacity int) func(int) {
	return func(messages int) {
		channel := make(chan int, capacity)
		go func() {
			for i := 0; i < messages; i++ {
				channel <- i
			}
			close(channel)
		}()
		for range channel {
		}
	}
}

func lockAndUnlock(times int) {
	var mutex sync.Mutex
	for i := 0; i < times; i++ {
		mutex.Lock()
		mutex.Unlock()
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	report("yield", 2000000, yieldBetweenTwo)
	report("spawn_finish", 1000000, spawnAndFinish)
	report("channel_rendezvous", 1000000, channelOf(0))
	report("channel_128", 3000000, channelOf(128))
	report("mutex_pair", 5000000, lockAndUnlock)
}
