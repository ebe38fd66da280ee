// Worker ships what was ordered. Several run side by side; an order goes to exactly one of them.
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"example.com/shop/lib/web"
)

func main() {
	ctx, stop := web.Interrupted()
	defer stop()
	w := &worker{
		name:   "worker " + web.Env("ORCHESTRA_INSTANCE", "1"),
		orders: web.Env("ORDERS_URL", "http://127.0.0.1:7402"),
	}
	go w.work(ctx, 200*time.Millisecond)
	if err := web.Serve(ctx, w.handler(), func(addr string) { fmt.Println(w.name, "ready to ship, count on", addr) }); err != nil {
		fmt.Fprintln(os.Stderr, w.name, err)
		os.Exit(1)
	}
	fmt.Println(w.name, "stopped after", w.shipped.Load(), "orders")
}

type worker struct {
	name, orders string
	shipped      atomic.Int64
}

func (w *worker) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /shipped", func(rw http.ResponseWriter, r *http.Request) { web.Reply(rw, http.StatusOK, w.shipped.Load()) })
	return mux
}

// work asks for orders until ctx ends. While orders is away it complains once.
func (w *worker) work(ctx context.Context, pause time.Duration) {
	reachable := true
	for ctx.Err() == nil {
		found, err := w.ship(ctx)
		if err != nil && reachable && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, w.name, "cannot ask for orders:", err)
		}
		reachable = err == nil
		if found {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (w *worker) ship(ctx context.Context) (found bool, err error) {
	var order struct {
		ID      int    `json:"id"`
		Product string `json:"product"`
	}
	if err := web.Call(ctx, http.MethodPost, w.orders+"/claims?worker="+url.QueryEscape(w.name), nil, &order); err != nil {
		return false, err
	}
	if order.ID == 0 {
		return false, nil
	}
	w.shipped.Add(1)
	fmt.Println(w.name, "ships order", order.ID, order.Product)
	return true, nil
}
