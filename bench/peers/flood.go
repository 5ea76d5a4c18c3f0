// As flood.lua, with a goroutine that reads lines. Usage: flood SECONDS FEEDER...
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

const pause = 10 * time.Millisecond

var digits = regexp.MustCompile(`\d\d`)

func read(listener net.Listener) {
	conn, err := listener.Accept()
	if err != nil {
		panic(err)
	}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		digits.ReplaceAll(lines.Bytes(), nil)
	}
}

func main() {
	seconds, _ := strconv.ParseFloat(os.Args[1], 64)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	feeder := exec.Command(os.Args[2], append(os.Args[3:], port)...)
	if err := feeder.Start(); err != nil {
		panic(err)
	}
	go read(listener)
	var sum, latest time.Duration
	count := 0
	for begin := time.Now(); time.Since(begin).Seconds() < seconds; count++ {
		due := time.Now().Add(pause)
		time.Sleep(pause)
		late := time.Since(due)
		sum += late
		if late > latest {
			latest = late
		}
	}
	feeder.Process.Kill()
	fmt.Printf("{\"mean_ms\":%.3f,\"latest_ms\":%.3f}\n",
		sum.Seconds()*1e3/float64(count), latest.Seconds()*1e3)
}
