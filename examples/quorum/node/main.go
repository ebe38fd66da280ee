// Node is one member of a toy quorum: it is ready once it has heard from a majority of PEERS, itself included. The leader is the first peer that answers.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(log); err != nil {
		log.Error("failed", "error", err)
		os.Exit(1)
	}
	log.Info("left the quorum")
}

func run(log *slog.Logger) error {
	port := os.Getenv("PORT")
	if port == "" {
		port = "7420"
	}
	self := net.JoinHostPort("127.0.0.1", port)
	peers := strings.FieldsFunc(os.Getenv("PEERS"), func(r rune) bool { return r == ',' || r == ' ' })
	if len(peers) == 0 {
		peers = []string{self}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	n := &node{log: log, peers: peers}
	server := &http.Server{Addr: self, Handler: n.handler()}
	go n.watch(ctx, 100*time.Millisecond)
	go func() {
		<-ctx.Done()
		_ = server.Close() // it ends ListenAndServe, which says what there is to say
	}()
	log.Info("joining", "self", self, "peers", peers)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type node struct {
	log   *slog.Logger
	peers []string

	mu     sync.Mutex
	ready  bool
	leader string
}

func (n *node) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if ready, _ := n.state(); !ready {
			http.Error(w, "no majority", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /leader", func(w http.ResponseWriter, _ *http.Request) {
		_, leader := n.state()
		fmt.Fprintln(w, leader)
	})
	return mux
}

func (n *node) state() (ready bool, leader string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ready, n.leader
}

// watch asks every peer again and again until ctx ends.
func (n *node) watch(ctx context.Context, pause time.Duration) {
	client := &http.Client{Timeout: time.Second}
	for ctx.Err() == nil {
		n.count(alive(client, n.peers))
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// alive returns the peers that answer, in order.
func alive(client *http.Client, peers []string) []string {
	var found []string
	for _, peer := range peers {
		response, err := client.Get("http://" + peer + "/ping")
		if err != nil {
			continue
		}
		response.Body.Close()
		found = append(found, peer)
	}
	return found
}

// count notes who is there, and says so when it changes what this node is.
func (n *node) count(found []string) {
	ready, leader := len(found) > len(n.peers)/2, ""
	if ready {
		leader = found[0]
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if ready != n.ready || leader != n.leader {
		n.log.Info("quorum", "ready", ready, "alive", len(found), "of", len(n.peers), "leader", leader)
	}
	n.ready, n.leader = ready, leader
}
