package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestRequestsArePassedOn(t *testing.T) {
	catalog := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "catalog "+r.URL.Path)
	}))
	defer catalog.Close()
	h, err := handler(slog.New(slog.NewTextHandler(io.Discard, nil)), catalog.URL, "http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(h)
	defer front.Close()
	response, err := http.Get(front.URL + "/products/tea")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); string(body) != "catalog /products/tea" {
		t.Errorf("got %q", body)
	}
}
