package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"time"
)

const (
	// A segment is closed once it is this large.
	segment = 10 << 20
	// `2026-01-02T03:04:05.678901Z o F `
	header = 32
	stamp  = "2006-01-02T15:04:05.000000Z"
	// Between two lines of all services that are made.
	apart = 360 * time.Microsecond
)

// folder is the log of one instance that is being made.
type folder struct {
	dir, name string
	number    int
	size      int
	file      *os.File
	out       *bufio.Writer
	buffer    []byte
}

// write makes lines of all services, numbered together, the last one at `end`; another service goes on after some of them.
func write(logs string, lines, services int, end time.Time) error {
	folders := make([]*folder, services)
	for at := range folders {
		name := fmt.Sprintf("load-%02d", at)
		folders[at] = &folder{dir: filepath.Join(logs, name, "1"), name: name, size: segment}
		if err := os.MkdirAll(folders[at].dir, 0o700); err != nil {
			return err
		}
	}
	at, left := 0, uint64(0)
	begin := end.Add(-time.Duration(lines) * apart).UTC()
	for n := range uint64(lines) {
		if left == 0 {
			at, left = (at+1)%services, 1+n*2654435761%50
		}
		left--
		if err := folders[at].line(begin.Add(time.Duration(n)*apart), begin, n); err != nil {
			return err
		}
	}
	for _, one := range folders {
		if err := one.close(); err != nil {
			return err
		}
	}
	return nil
}

func (f *folder) line(when, begin time.Time, n uint64) error {
	f.buffer = line(f.buffer[:0], f.name, when.Format("2006-01-02T15:04:05.000Z"), float64(when.UnixMilli())/1000, n)
	if f.size >= segment {
		if err := f.close(); err != nil {
			return err
		}
		f.number++
		file, err := os.OpenFile(filepath.Join(f.dir, fmt.Sprintf("%010d.log", f.number)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		f.file, f.out, f.size = file, bufio.NewWriterSize(file, 1<<18), 0
		mark := fmt.Appendf(nil, "run=1 mono=%d\n", when.Sub(begin).Nanoseconds()+1)
		if err := f.record(when, 'm', mark); err != nil {
			return err
		}
	}
	return f.record(when, 'o', f.buffer)
}

func (f *folder) record(when time.Time, stream byte, payload []byte) error {
	head := when.AppendFormat(nil, stamp)
	head = append(head, ' ', stream, ' ', 'F', ' ')
	f.size += len(head) + len(payload)
	if _, err := f.out.Write(head); err != nil {
		return err
	}
	_, err := f.out.Write(payload)
	return err
}

func (f *folder) close() error {
	if f.file == nil {
		return nil
	}
	if err := f.out.Flush(); err != nil {
		return err
	}
	return f.file.Close()
}

// Found is what is in all segments.
type Found struct {
	// Records that are no marks, and numbered ones among them.
	Records, Numbered uint64
	// Of each instance's numbers, from 0 on.
	Lost, Doubled, Disorder uint64
}

// check reads all segments of all instances in their order.
func check(logs string) error {
	var found Found
	files, err := filepath.Glob(filepath.Join(logs, "*", "*", "*.log"))
	if err != nil {
		return err
	}
	sort.Strings(files)
	next := map[string]uint64{}
	for _, file := range files {
		if err := found.file(file, next); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

func (f *Found) file(path string, next map[string]uint64) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	instance := filepath.Dir(path)
	scanner := bufio.NewScanner(file)
	scanner.Buffer(make([]byte, 1<<20), 1<<20)
	for scanner.Scan() {
		line := scanner.Bytes()
		if len(line) < header || line[28] == 'm' {
			continue
		}
		f.Records++
		n, ok := number(line[header:])
		if !ok {
			continue
		}
		f.Numbered++
		switch expected := next[instance]; {
		case n == expected:
			next[instance]++
		case n > expected:
			f.Lost += n - expected
			next[instance] = n + 1
		case n == expected-1:
			f.Doubled++
		default:
			f.Disorder++
		}
	}
	return scanner.Err()
}

func number(payload []byte) (uint64, bool) {
	for _, key := range []string{" n=", `"n":"`} {
		if _, rest, ok := bytes.Cut(payload, []byte(key)); ok && len(rest) >= 10 {
			n, err := strconv.ParseUint(string(rest[:10]), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
