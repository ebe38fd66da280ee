// Catalog says what the shop sells. The products are part of the binary.
package main

import (
	_ "embed"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"

	"example.com/shop/lib/web"
)

//go:embed products.json
var products []byte

type product struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Cents int    `json:"cents"`
}

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	byID, err := load(products)
	if err != nil {
		log.Error("bad products", "error", err)
		os.Exit(1)
	}
	ctx, stop := web.Interrupted()
	defer stop()
	if err := web.Serve(ctx, handler(log, byID), func(addr string) { log.Info("listening", "addr", addr, "products", len(byID)) }); err != nil {
		log.Error("failed", "error", err)
		os.Exit(1)
	}
	log.Info("stopped")
}

func load(data []byte) (map[string]product, error) {
	var list []product
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	byID := make(map[string]product, len(list))
	for _, p := range list {
		byID[p.ID] = p
	}
	return byID, nil
}

func handler(log *slog.Logger, byID map[string]product) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", web.Healthy)
	mux.HandleFunc("GET /products", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(products) // the client has gone: nobody is left to tell
	})
	mux.HandleFunc("GET /products/{id}", func(w http.ResponseWriter, r *http.Request) {
		p, ok := byID[r.PathValue("id")]
		log.Debug("lookup", "id", r.PathValue("id"), "found", ok)
		if !ok {
			http.Error(w, "no such product", http.StatusNotFound)
			return
		}
		web.Reply(w, http.StatusOK, p)
	})
	return mux
}
