//go:build acceptance

// Package acceptance tests the running shop from the outside, and looks into its database.
package acceptance

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/shop-vendors/shop"
)

func url(t *testing.T) string {
	addr := os.Getenv("ORDERS_ADDR")
	if addr == "" {
		t.Fatal("ORDERS_ADDR is not set: run me with `orchestra test --acceptance`, or after `eval \"$(orchestra export orders)\"`")
	}
	return "http://" + addr + "/orders"
}

func place(t *testing.T, product string) shop.Order {
	answer, err := http.Post(url(t), "application/json", strings.NewReader(`{"product": "`+product+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var order shop.Order
	if err := json.NewDecoder(answer.Body).Decode(&order); err != nil || answer.StatusCode != http.StatusCreated {
		t.Fatalf("%s: %v", answer.Status, err)
	}
	return order
}

func TestAnOrderIsKeptAndShipped(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	placed := place(t, "tea")
	db, err := shop.Database(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for shipped := false; !shipped; time.Sleep(20 * time.Millisecond) {
		all, err := shop.All(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		for _, order := range all {
			shipped = shipped || order.ID == placed.ID && order.Product == "tea" && order.Shipped != nil
		}
	}
}

func TestTheBusTellsOfAnOrder(t *testing.T) {
	bus, err := shop.Bus("acceptance")
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	told, err := bus.SubscribeSync(shop.Placed)
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.Flush(); err != nil {
		t.Fatal(err)
	}
	place(t, "pot")
	if _, err := told.NextMsg(10 * time.Second); err != nil {
		t.Fatal(err)
	}
}
