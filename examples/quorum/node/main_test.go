package main

import (
	"io"
	"log/slog"
	"testing"
)

func TestAMajorityIsReady(t *testing.T) {
	n := &node{log: slog.New(slog.NewTextHandler(io.Discard, nil)), peers: []string{"a", "b", "c"}}
	for _, c := range []struct {
		found  []string
		ready  bool
		leader string
	}{
		{[]string{"b"}, false, ""},
		{[]string{"b", "c"}, true, "b"},
		{[]string{"a", "b", "c"}, true, "a"},
		{nil, false, ""},
	} {
		n.count(c.found)
		if ready, leader := n.state(); ready != c.ready || leader != c.leader {
			t.Errorf("%v: got %v %q", c.found, ready, leader)
		}
	}
}
