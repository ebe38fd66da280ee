package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// neighbour answers every request alike.
func neighbour(t *testing.T, status int, body string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestPlaceAsksItsNeighbours(t *testing.T) {
	for name, c := range map[string]struct{ catalog, payments, want int }{
		"sold":          {http.StatusOK, http.StatusCreated, http.StatusCreated},
		"unknown":       {http.StatusNotFound, http.StatusCreated, http.StatusNotFound},
		"card refused":  {http.StatusOK, http.StatusPaymentRequired, http.StatusPaymentRequired},
		"catalog fails": {http.StatusInternalServerError, http.StatusCreated, http.StatusInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			s := &service{
				log:      slog.New(slog.NewJSONHandler(io.Discard, nil)),
				catalog:  neighbour(t, c.catalog, `{"cents": 450}`),
				payments: neighbour(t, c.payments, `{}`),
				book:     newBook(),
			}
			got := httptest.NewRecorder()
			request := httptest.NewRequest(http.MethodPost, "/orders", strings.NewReader(`{"product": "tea", "card": "visa"}`))
			s.handler().ServeHTTP(got, request)
			if got.Code != c.want {
				t.Errorf("got %d %s, want %d", got.Code, got.Body, c.want)
			}
		})
	}
}

func TestAnOrderIsClaimedOnce(t *testing.T) {
	b := newBook()
	b.add("tea", 450)
	if o, ok := b.claim("one"); !ok || o.Worker != "one" {
		t.Fatalf("got %v %v", o, ok)
	}
	if o, ok := b.claim("two"); ok {
		t.Fatalf("claimed twice: %v", o)
	}
}
