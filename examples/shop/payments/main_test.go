package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCharges(t *testing.T) {
	h := handler()
	for body, want := range map[string]int{
		`{"card": "visa", "cents": 450}`:   http.StatusCreated,
		`{"card": "stolen", "cents": 450}`: http.StatusPaymentRequired,
		`{"card": "visa", "cents": 0}`:     http.StatusBadRequest,
		`nonsense`:                         http.StatusBadRequest,
	} {
		got := httptest.NewRecorder()
		h.ServeHTTP(got, httptest.NewRequest(http.MethodPost, "/charges", strings.NewReader(body)))
		if got.Code != want {
			t.Errorf("%s: got %d, want %d", body, got.Code, want)
		}
	}
}
