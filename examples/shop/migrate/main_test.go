package main

import "testing"

func TestMigrateTwice(t *testing.T) {
	dir := t.TempDir()
	for _, want := range []string{"none", version} {
		if before, err := migrate(dir); err != nil || before != want {
			t.Errorf("got %q %v, want %q", before, err, want)
		}
	}
}
