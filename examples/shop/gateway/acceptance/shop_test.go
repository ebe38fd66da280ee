//go:build acceptance

// Package acceptance tests the running shop from the outside.
package acceptance

import (
	"context"
	"errors"
	"net/http"
	"os"
	"testing"
	"time"

	"example.com/shop/lib/web"
)

type order struct {
	ID     int    `json:"id"`
	Cents  int    `json:"cents"`
	Worker string `json:"worker"`
}

func gateway(t *testing.T) string {
	addr := os.Getenv("GATEWAY_ADDR")
	if addr == "" {
		t.Fatal("GATEWAY_ADDR is not set: run me with `orchestra test --acceptance`, or after `eval \"$(orchestra export gateway)\"`")
	}
	return "http://" + addr
}

func TestAnOrderIsPlacedAndShipped(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	url := gateway(t)
	var placed order
	if err := web.Call(ctx, http.MethodPost, url+"/orders", map[string]string{"product": "tea", "card": "visa"}, &placed); err != nil {
		t.Fatal(err)
	}
	if placed.Cents != 450 {
		t.Errorf("tea costs %d cents", placed.Cents)
	}
	for worker := ""; worker == ""; time.Sleep(50 * time.Millisecond) {
		var all []order
		if err := web.Call(ctx, http.MethodGet, url+"/orders", nil, &all); err != nil {
			t.Fatal(err)
		}
		worker = all[placed.ID-1].Worker
	}
}

func TestAStolenCardIsRefused(t *testing.T) {
	wanted := map[string]string{"product": "pot", "card": "stolen"}
	err := web.Call(context.Background(), http.MethodPost, gateway(t)+"/orders", wanted, nil)
	var status *web.StatusError
	if !errors.As(err, &status) || status.Status != http.StatusPaymentRequired {
		t.Errorf("got %v", err)
	}
}
