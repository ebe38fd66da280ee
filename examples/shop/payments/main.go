// Payments says yes to every card but "stolen". It logs as programs did before slog: what it does to stdout, what went wrong to stderr.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"sync/atomic"

	"example.com/shop/lib/web"
)

type charge struct {
	Card  string `json:"card"`
	Cents int    `json:"cents"`
}

func main() {
	log.SetPrefix("payments: ")
	ctx, stop := web.Interrupted()
	defer stop()
	if err := web.Serve(ctx, handler(), func(addr string) { log.Print("listening on ", addr) }); err != nil {
		log.Fatal(err)
	}
	log.Print("stopped")
}

func handler() http.Handler {
	var receipts atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", web.Healthy)
	mux.HandleFunc("POST /charges", func(w http.ResponseWriter, r *http.Request) {
		var c charge
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil || c.Cents <= 0 {
			http.Error(w, "a charge needs a card and a positive number of cents", http.StatusBadRequest)
			return
		}
		if c.Card == "stolen" {
			log.Printf("refused %d cents: the card is stolen", c.Cents)
			http.Error(w, "card refused", http.StatusPaymentRequired)
			return
		}
		receipt := receipts.Add(1)
		fmt.Fprintf(os.Stdout, "charged %d cents, receipt %d\n", c.Cents, receipt)
		web.Reply(w, http.StatusCreated, map[string]int64{"receipt": receipt})
	})
	return mux
}
