package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
)

// What a manager kept of the lines of one name.
type kept struct {
	Lines     int `json:"lines"`     // different whole lines
	Doubled   int `json:"doubled"`   // whole lines that were there before
	Unordered int `json:"unordered"` // whole lines after one with a greater number
	Last      int `json:"last"`      // greatest number
	seen      []uint64
}

type verdict struct {
	Names map[string]*kept `json:"names"`
	Torn  int              `json:"torn"` // lines with a part of ours that are not whole, or more than one in a line
}

// Reads files, or standard input, and prints what lines of `line` are in them, as JSON.
func check(args []string) int {
	flags := flag.NewFlagSet("check", flag.ExitOnError)
	size := flags.Int("size", 120, "bytes of a line, its end included")
	flags.Parse(args)
	v := verdict{Names: map[string]*kept{}}
	read := func(from io.Reader) {
		lines := bufio.NewReaderSize(from, 1<<20)
		for {
			line, err := lines.ReadSlice('\n')
			if len(line) > 0 {
				v.line(bytes.TrimSuffix(line, []byte("\n")), *size)
			}
			if err == io.EOF {
				return
			}
			if err != nil && err != bufio.ErrBufferFull {
				fail(err)
			}
		}
	}
	if flags.NArg() == 0 {
		read(os.Stdin)
	}
	for _, name := range flags.Args() {
		file, err := os.Open(name)
		if err != nil {
			fail(err)
		}
		read(file)
		file.Close()
	}
	out, err := json.Marshal(v)
	if err != nil {
		fail(err)
	}
	fmt.Println(string(out))
	return 0
}

func (v *verdict) line(line []byte, size int) {
	at := bytes.IndexByte(line, '@')
	if at < 0 {
		if bytes.Contains(line, []byte("xxxxxxxx")) {
			v.Torn++
		}
		return
	}
	line = line[at+1:]
	name, rest, found := bytes.Cut(line, []byte(" "))
	digits, fill, more := bytes.Cut(rest, []byte(" "))
	n, err := strconv.Atoi(string(digits))
	// `@`, two blanks, `;` and the end.
	wanted := size - 5 - len(name) - len(digits)
	whole := found && more && err == nil && n > 0 && len(fill) > wanted && wanted >= 0 && fill[wanted] == ';' && bytes.Count(fill[:wanted], []byte("x")) == wanted
	if !whole || bytes.IndexByte(fill[wanted+1:], '@') >= 0 {
		v.Torn++
		return
	}
	k := v.Names[string(name)]
	if k == nil {
		k = &kept{}
		v.Names[string(name)] = k
	}
	k.add(n)
}

func (k *kept) add(n int) {
	for len(k.seen) <= n/64 {
		k.seen = append(k.seen, make([]uint64, len(k.seen)+64)...)
	}
	if k.seen[n/64]&(1<<(n%64)) != 0 {
		k.Doubled++
		return
	}
	k.seen[n/64] |= 1 << (n % 64)
	k.Lines++
	if n < k.Last {
		k.Unordered++
	}
	k.Last = max(k.Last, n)
}
