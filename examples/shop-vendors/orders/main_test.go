package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAnOrderOfNothingIsRefused(t *testing.T) {
	for _, body := range []string{"", "{}", "tea"} {
		answer := httptest.NewRecorder()
		(&service{}).handler().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/orders", strings.NewReader(body)))
		if answer.Code != http.StatusBadRequest {
			t.Errorf("%q: %d", body, answer.Code)
		}
	}
}
