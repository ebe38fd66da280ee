// Migrate prepares the data folder and ends: a job. It may run any number of times.
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
)

const version = "3"

func main() {
	log.SetFlags(0)
	dir := os.Getenv("DATA_DIR")
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "shop-data")
	}
	before, err := migrate(dir)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("schema %s -> %s in %s\n", before, version, dir)
}

// migrate brings the folder to the newest version and returns the one it had.
func migrate(dir string) (before string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	file := filepath.Join(dir, "schema")
	data, err := os.ReadFile(file)
	switch {
	case os.IsNotExist(err):
		data = []byte("none")
	case err != nil:
		return "", err
	}
	return string(data), os.WriteFile(file, []byte(version), 0o644)
}
