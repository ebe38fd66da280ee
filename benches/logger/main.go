// Logger writes numbered log lines at a rate that can be changed while it runs, as a Go service would; makes logs of many lines; and counts what became of them.
//
//	logger                                  writes lines; LOAD_DIR, LOAD_NAME and LOAD_OF say where the rate stands, who it is, and of how many
//	logger -make LOGS -lines N -of SERVICES [-ending SECONDS]   writes segments as orchestra's shims do
//	logger -check LOGS                      prints what is in all segments, as JSON
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// Lines that are due are written so often.
	tick = 2 * time.Millisecond
	// While the rate is 0 it is looked at so often: a service that does nothing takes no processor time.
	rest = 250 * time.Millisecond
	// At most so many bytes at once, as a buffered logger would.
	most = 32 << 10
)

func main() {
	makes := flag.String("make", "", "write segments into this folder of logs")
	checks := flag.String("check", "", "count what is in this folder of logs")
	lines := flag.Int("lines", 1_000_000, "with -make: so many")
	of := flag.Int("of", 10, "with -make: so many services")
	ending := flag.Int("ending", 60, "with -make: the last line is so many seconds old")
	flag.Parse()
	var err error
	switch {
	case *makes != "":
		err = write(*makes, *lines, *of, time.Now().Add(-time.Duration(*ending)*time.Second))
	case *checks != "":
		err = check(*checks)
	default:
		err = serve()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// A line by the text handler of slog and one by zap, in turns; one in a hundred is an error. About 122 bytes with their newline.
func line(to []byte, name, stamp string, seconds float64, n uint64) []byte {
	level, short, message := "INFO", "info", "order created"
	if n%100 == 7 {
		level, short, message = "ERROR", "error", "card declined"
	}
	trace := n * 2654435761 & 0xffff
	if n%2 == 0 {
		return fmt.Appendf(to, "time=%s level=%s msg=\"%s\" svc=%s n=%010d trace=%08x took=12ms user=41 total=1999\n", stamp, level, message, name, n, trace)
	}
	return fmt.Appendf(to, "{\"level\":\"%s\",\"ts\":%.3f,\"msg\":\"%s\",\"svc\":\"%s\",\"n\":\"%010d\",\"trace\":\"%08x\",\"user\":41}\n", short, seconds, message, name, n, trace)
}

func serve() error {
	dir, name := os.Getenv("LOAD_DIR"), os.Getenv("LOAD_NAME")
	of, err := strconv.ParseFloat(os.Getenv("LOAD_OF"), 64)
	if err != nil {
		return fmt.Errorf("LOAD_OF: %w", err)
	}
	count, err := os.Create(filepath.Join(dir, name+".count"))
	if err != nil {
		return err
	}
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, syscall.SIGTERM, syscall.SIGINT)
	var n uint64
	var rate, due float64
	last, looked := time.Now(), time.Time{}
	buffer := make([]byte, 0, most+256)
	for {
		pause := tick
		if rate == 0 {
			pause = rest
		}
		select {
		case <-ends:
			return nil
		case <-time.After(pause):
		}
		now := time.Now()
		if now.Sub(looked) > 20*time.Millisecond {
			looked = now
			if text, err := os.ReadFile(filepath.Join(dir, "rate")); err == nil {
				rate, _ = strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
			}
		}
		// What could not be written within a second is not owed: the rate that is reached is counted.
		due = min(due+rate/of*now.Sub(last).Seconds(), max(rate/of, 1))
		last = now
		stamp, seconds := now.UTC().Format("2006-01-02T15:04:05.000Z"), float64(now.UnixMilli())/1000
		for due >= 1 {
			buffer = buffer[:0]
			from := n
			for due >= 1 && len(buffer) < most {
				buffer = line(buffer, name, stamp, seconds, n)
				n++
				due--
			}
			if _, err := os.Stdout.Write(buffer); err != nil {
				return fmt.Errorf("after %d lines: %w", from, err)
			}
			if _, err := count.WriteAt(fmt.Appendf(nil, "%020d", n), 0); err != nil {
				return err
			}
		}
	}
}
