// N goroutines sleep SECONDS. Usage: sleepers N SECONDS
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func rssKB() int {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb, _ := strconv.Atoi(strings.Fields(rest)[0])
	return kb
}

func main() {
	count, _ := strconv.Atoi(os.Args[1])
	seconds, _ := strconv.ParseFloat(os.Args[2], 64)
	pause := time.Duration(seconds * float64(time.Second))
	var asleep, started atomic.Int64
	var all sync.WaitGroup

	before := rssKB()
	start := time.Now()
	all.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			started.Add(1)
			asleep.Add(1)
			time.Sleep(pause)
			asleep.Add(-1)
			all.Done()
		}()
	}
	for started.Load() < int64(count) {
		runtime.Gosched()
	}
	during, still := rssKB(), asleep.Load()
	all.Wait()
	fmt.Printf("{\"n\":%d,\"seconds\":%.6f,\"asleep\":%d,\"rss_kb_per_task\":%.3f}\n",
		count, time.Since(start).Seconds(), still, float64(during-before)/float64(count))
}
