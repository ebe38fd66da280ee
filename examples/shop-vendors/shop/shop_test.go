package shop

import (
	"context"
	"strings"
	"testing"
)

func TestWithoutADatabaseItSaysWhatToDo(t *testing.T) {
	t.Setenv("DATABASE_URL", "")
	_, err := Database(context.Background())
	if err == nil || !strings.Contains(err.Error(), "orchestra start") {
		t.Errorf("got %v", err)
	}
}

func TestAWrongBusIsNamed(t *testing.T) {
	t.Setenv("NATS_URL", "nats://127.0.0.1:1")
	_, err := Bus("test")
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("got %v", err)
	}
}
