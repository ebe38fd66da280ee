package main

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// A line is `@NAME NUMBER xxx…;` and an end, `size` bytes in all; numbers begin with 1. It says of itself where it begins and ends, so that what a
// manager puts before it does not matter, and a torn one is known.
func (l *load) line(into []byte, n int) []byte {
	begin := len(into)
	into = append(into, '@')
	into = append(into, l.name...)
	into = append(into, ' ')
	into = strconv.AppendInt(into, int64(n), 10)
	into = append(into, ' ')
	if fill := l.size - 2 - (len(into) - begin); fill > 0 {
		into = append(into, bytes.Repeat([]byte{'x'}, fill)...)
	}
	return append(into, ';', '\n')
}

// Writes lines first to last, in blocks or each by itself.
func (l *load) write(first, last int) {
	block := make([]byte, 0, 1<<16)
	for n := first; n <= last; n++ {
		block = l.line(block, n)
		if n == last && l.open {
			block = block[:len(block)-1]
		}
		if !l.block || n == last || len(block)+l.size > cap(block) {
			if _, err := os.Stdout.Write(block); err != nil {
				fail(err)
			}
			block = block[:0]
		}
	}
}

func (l *load) flood() int {
	time.Sleep(l.after)
	l.write(1, l.lines)
	l.say("wrote", l.lines)
	if l.exit {
		return 0
	}
	return l.rest()
}

// Each copy's lines have a name of their own, so that what one of them lost is not made up for by another.
func (l *load) tick() int {
	said := l.name
	l.name += "/" + strconv.Itoa(os.Getpid())
	began, n := time.Now(), 0
	for beat := time.Tick(time.Millisecond); ; {
		select {
		case <-l.terms:
			l.name = said
			l.say("wrote", n)
			return 0
		case <-beat:
			due := int(time.Since(began).Seconds() * float64(l.rate))
			if l.lines > 0 && due > l.lines {
				due = l.lines
			}
			if due > n {
				l.write(n+1, due)
				n = due
			}
		}
	}
}

// Writes half of its lines at once when it is told to end and the other half 200 ms later, as one that finishes its requests.
func (l *load) chatty() int {
	<-l.terms
	l.write(1, l.lines/2)
	time.Sleep(200 * time.Millisecond)
	l.write(l.lines/2+1, l.lines)
	l.say("wrote", l.lines)
	return 0
}
