// Shipping ships open orders: at once when NATS tells of one, and at its start what was left.
package main

import (
	"context"
	"log"
	"os"

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
	bus, err := shop.Bus("shipping-" + os.Getenv("ORCHESTRA_INSTANCE"))
	if err != nil {
		return err
	}
	defer bus.Close()
	// One message in store is enough: it says that there is something to do, not what.
	wake := make(chan *nats.Msg, 1)
	told, err := bus.QueueSubscribe(shop.Placed, "shipping", func(msg *nats.Msg) {
		select {
		case wake <- msg:
		default:
		}
	})
	if err != nil {
		return err
	}
	if err := bus.Flush(); err != nil {
		return err
	}
	log.Print("ready to ship")
	for {
		if err := shipAll(ctx, db); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return told.Drain()
		}
	}
}

func shipAll(ctx context.Context, db *pgxpool.Pool) error {
	for {
		order, found, err := shop.ShipNext(ctx, db)
		if err != nil || !found {
			return err
		}
		log.Printf("shipped order %d: %s", order.ID, order.Product)
	}
}
