// The standard library's HTTP client: asks for one URL over and over, on several connections.
// Usage: http_client URL COUNT TASKS
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
)

func cpu() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e3
}

func askAll(client *http.Client, url string, count, tasks int) {
	var all sync.WaitGroup
	for t := 0; t < tasks; t++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := 0; i < count/tasks; i++ {
				reply, err := client.Get(url)
				if err != nil {
					panic(err)
				}
				body, err := io.ReadAll(reply.Body)
				reply.Body.Close()
				if err != nil || len(body) == 0 {
					panic("no body")
				}
			}
		}()
	}
	all.Wait()
}

func main() {
	runtime.GOMAXPROCS(1)
	count, _ := strconv.Atoi(os.Args[2])
	tasks, _ := strconv.Atoi(os.Args[3])
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: tasks, MaxConnsPerHost: tasks}}
	askAll(client, os.Args[1], tasks, tasks)
	start := cpu()
	askAll(client, os.Args[1], count, tasks)
	fmt.Printf("{\"cpu_us_per_request\": %.2f}\n", (cpu()-start)/float64(count))
}
