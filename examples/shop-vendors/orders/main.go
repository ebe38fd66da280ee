// Orders takes orders over HTTP, keeps them in PostgreSQL and tells of them over NATS.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"

	"example.com/shop-vendors/shop"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
	log.Print("stopped")
}

func run() error {
	ctx, stop := shop.Interrupted()
	defer stop()
	db, err := shop.Database(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	bus, err := shop.Bus("orders")
	if err != nil {
		return err
	}
	defer bus.Close()
	listener, err := net.Listen("tcp", net.JoinHostPort(os.Getenv("HOST"), os.Getenv("PORT")))
	if err != nil {
		return err
	}
	log.Printf("listening on %s", listener.Addr())
	server := &http.Server{Handler: (&service{db: db, bus: bus}).handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.Background(), 4*time.Second)
		defer cancel()
		_ = server.Shutdown(grace) // what does not end in time is cut off by the end of the process
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type service struct {
	db  *pgxpool.Pool
	bus *nats.Conn
}

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthy)
	mux.HandleFunc("POST /orders", s.place)
	mux.HandleFunc("GET /orders", s.list)
	return mux
}

func (s *service) healthy(w http.ResponseWriter, r *http.Request) {
	if err := s.db.Ping(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *service) place(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Product string `json:"product"`
	}
	if err := json.NewDecoder(r.Body).Decode(&wanted); err != nil || wanted.Product == "" {
		http.Error(w, `write it as {"product": "tea"}`, http.StatusBadRequest)
		return
	}
	order, err := shop.Place(r.Context(), s.db, wanted.Product)
	if err != nil {
		log.Printf("cannot keep an order: %v", err)
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	// The order is kept: who ships finds it also without this message, only later.
	if err := s.bus.Publish(shop.Placed, nil); err != nil {
		log.Printf("cannot tell of order %d: %v", order.ID, err)
	}
	log.Printf("order %d: %s", order.ID, order.Product)
	reply(w, http.StatusCreated, order)
}

func (s *service) list(w http.ResponseWriter, r *http.Request) {
	all, err := shop.All(r.Context(), s.db)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	reply(w, http.StatusOK, all)
}

func reply(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // the client has gone: nobody is left to tell
}
