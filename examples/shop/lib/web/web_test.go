package web

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"
)

func TestServeEndsWithItsContext(t *testing.T) {
	t.Setenv("PORT", "0")
	ctx, cancel := context.WithCancel(context.Background())
	address := make(chan string, 1)
	served := make(chan error, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", Healthy)
	go func() { served <- Serve(ctx, mux, func(addr string) { address <- addr }) }()
	url := "http://" + <-address

	if err := Call(ctx, http.MethodGet, url+"/healthz", nil, nil); err != nil {
		t.Fatal(err)
	}
	var status *StatusError
	if err := Call(ctx, http.MethodGet, url+"/nothing", nil, nil); !errors.As(err, &status) || status.Status != http.StatusNotFound {
		t.Fatalf("want a 404, got %v", err)
	}
	cancel()
	select {
	case err := <-served:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("still serving")
	}
}
