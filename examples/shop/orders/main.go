// Orders takes orders: it asks catalog for the price and payments for the money, and hands open orders to the workers.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"

	"example.com/shop/lib/web"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	if err := run(log); err != nil {
		log.Error("failed", "error", err.Error())
		os.Exit(1)
	}
	log.Info("stopped")
}

func run(log *slog.Logger) error {
	if dir := os.Getenv("DATA_DIR"); dir != "" {
		schema, err := os.ReadFile(filepath.Join(dir, "schema"))
		if err != nil {
			return errors.Join(errors.New("no schema: run migrate first"), err)
		}
		log.Info("schema", "version", string(schema))
	}
	shop := &service{
		log:      log,
		catalog:  web.Env("CATALOG_URL", "http://127.0.0.1:7401"),
		payments: web.Env("PAYMENTS_URL", "http://127.0.0.1:7403"),
		book:     newBook(),
	}
	ctx, stop := web.Interrupted()
	defer stop()
	return web.Serve(ctx, shop.handler(), func(addr string) { log.Info("listening", "addr", addr) })
}

type service struct {
	log               *slog.Logger
	catalog, payments string
	book              *book
}

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", web.Healthy)
	mux.HandleFunc("POST /orders", s.place)
	mux.HandleFunc("POST /claims", s.claim)
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) { web.Reply(w, http.StatusOK, s.book.all()) })
	return mux
}

func (s *service) place(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Product string `json:"product"`
		Card    string `json:"card"`
	}
	if err := json.NewDecoder(r.Body).Decode(&wanted); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	order, err := s.buy(r.Context(), wanted.Product, wanted.Card)
	var status *web.StatusError
	switch {
	case errors.As(err, &status):
		s.log.Warn("refused", "product", wanted.Product, "status", status.Status, "error", status.Body)
		http.Error(w, status.Body, status.Status)
	case err != nil:
		s.log.Error("a neighbour does not answer", "error", err.Error())
		http.Error(w, err.Error(), http.StatusBadGateway)
	default:
		s.log.Info("order placed", "id", order.ID, "product", order.Product, "cents", order.Cents)
		web.Reply(w, http.StatusCreated, order)
	}
}

func (s *service) buy(ctx context.Context, id, card string) (order, error) {
	var product struct {
		Cents int `json:"cents"`
	}
	if err := web.Call(ctx, http.MethodGet, s.catalog+"/products/"+id, nil, &product); err != nil {
		return order{}, err
	}
	charge := map[string]any{"card": card, "cents": product.Cents}
	if err := web.Call(ctx, http.MethodPost, s.payments+"/charges", charge, nil); err != nil {
		return order{}, err
	}
	return s.book.add(id, product.Cents), nil
}

func (s *service) claim(w http.ResponseWriter, r *http.Request) {
	claimed, ok := s.book.claim(r.URL.Query().Get("worker"))
	if !ok {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	web.Reply(w, http.StatusOK, claimed)
}
