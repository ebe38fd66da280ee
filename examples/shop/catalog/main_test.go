package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestProducts(t *testing.T) {
	byID, err := load(products)
	if err != nil {
		t.Fatal(err)
	}
	h := handler(slog.New(slog.NewTextHandler(io.Discard, nil)), byID)
	for path, want := range map[string]int{
		"/products":      http.StatusOK,
		"/products/tea":  http.StatusOK,
		"/products/none": http.StatusNotFound,
		"/healthz":       http.StatusNoContent,
	} {
		got := httptest.NewRecorder()
		h.ServeHTTP(got, httptest.NewRequest(http.MethodGet, path, nil))
		if got.Code != want {
			t.Errorf("%s: got %d, want %d", path, got.Code, want)
		}
	}
}
