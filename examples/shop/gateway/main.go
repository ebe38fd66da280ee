// Gateway is the one door to the outside: it passes requests on to catalog and orders.
package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"

	"example.com/shop/lib/web"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stdout, nil))
	if err := run(log); err != nil {
		log.Error("failed", "error", err)
		os.Exit(1)
	}
	log.Info("stopped")
}

func run(log *slog.Logger) error {
	h, err := handler(log, web.Env("CATALOG_URL", "http://127.0.0.1:7401"), web.Env("ORDERS_URL", "http://127.0.0.1:7402"))
	if err != nil {
		return err
	}
	ctx, stop := web.Interrupted()
	defer stop()
	return web.Serve(ctx, h, func(addr string) { log.Info("open", "url", "http://"+addr) })
}

func handler(log *slog.Logger, catalog, orders string) (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", web.Healthy)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "The shop is open. Try /products and /orders.")
	})
	for path, target := range map[string]string{"/products": catalog, "/products/": catalog, "/orders": orders} {
		base, err := url.Parse(target)
		if err != nil {
			return nil, err
		}
		mux.Handle(path, httputil.NewSingleHostReverseProxy(base))
	}
	return logged(log, mux), nil
}

func logged(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		next.ServeHTTP(w, r)
		if r.URL.Path != "/healthz" {
			log.Info("request", "method", r.Method, "path", r.URL.Path, "took", time.Since(began).Round(time.Microsecond))
		}
	})
}
