package main

import "sync"

type order struct {
	ID      int    `json:"id"`
	Product string `json:"product"`
	Cents   int    `json:"cents"`
	Worker  string `json:"worker,omitempty"` // who ships it
}

// book holds every order, the oldest first; those before next are claimed.
type book struct {
	mu     sync.Mutex
	orders []order
	next   int
}

func newBook() *book { return &book{orders: []order{}} }

func (b *book) add(product string, cents int) order {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := order{ID: len(b.orders) + 1, Product: product, Cents: cents}
	b.orders = append(b.orders, o)
	return o
}

// claim gives the oldest open order to worker, and to nobody else.
func (b *book) claim(worker string) (order, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == len(b.orders) {
		return order{}, false
	}
	o := &b.orders[b.next]
	o.Worker = worker
	b.next++
	return *o, true
}

func (b *book) all() []order {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]order{}, b.orders...)
}
