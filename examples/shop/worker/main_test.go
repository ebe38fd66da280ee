package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestShip(t *testing.T) {
	open := []string{`{"id": 7, "product": "tea"}`}
	orders := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(open) == 0 {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = io.WriteString(w, open[0])
		open = open[1:]
	}))
	defer orders.Close()
	w := &worker{name: "test", orders: orders.URL}
	for i, want := range []bool{true, false} {
		if found, err := w.ship(context.Background()); err != nil || found != want {
			t.Errorf("call %d: got %v %v, want %v", i, found, err, want)
		}
	}
	if w.shipped.Load() != 1 {
		t.Errorf("shipped %d", w.shipped.Load())
	}
}
