// Package shop holds what the services share: the table of orders, and how PostgreSQL and NATS are reached.
package shop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
)

// Placed is the subject that tells of a new order. It only wakes whoever ships: what is to be done stands in the table, so a lost message loses no order.
const Placed = "orders.placed"

// Order is a row of the table.
type Order struct {
	ID      int64      `json:"id"`
	Product string     `json:"product"`
	Shipped *time.Time `json:"shipped"`
}

// Interrupted returns a context that ends with SIGTERM or SIGINT.
func Interrupted() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
}

// Database connects to DATABASE_URL.
func Database(ctx context.Context) (*pgxpool.Pool, error) {
	url := os.Getenv("DATABASE_URL")
	if url == "" {
		return nil, errors.New("DATABASE_URL is not set: start me with `orchestra start`")
	}
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// Bus connects to NATS_URL and stays connected, whatever becomes of the server.
func Bus(name string) (*nats.Conn, error) {
	bus, err := nats.Connect(os.Getenv("NATS_URL"), nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(200*time.Millisecond))
	if err != nil {
		return nil, fmt.Errorf("NATS_URL=%q: %w", os.Getenv("NATS_URL"), err)
	}
	return bus, nil
}

// Migrate makes the table where it is missing; what is in it stays.
func Migrate(ctx context.Context, db *pgxpool.Pool) error {
	_, err := db.Exec(ctx, `CREATE TABLE IF NOT EXISTS orders (
		id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		product text NOT NULL CHECK (product <> ''),
		shipped timestamptz
	)`)
	return err
}

// Place keeps a new order.
func Place(ctx context.Context, db *pgxpool.Pool, product string) (Order, error) {
	rows, err := db.Query(ctx, `INSERT INTO orders (product) VALUES ($1) RETURNING id, product, shipped`, product)
	if err != nil {
		return Order{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Order])
}

// All returns every order, by number.
func All(ctx context.Context, db *pgxpool.Pool) ([]Order, error) {
	rows, err := db.Query(ctx, `SELECT id, product, shipped FROM orders ORDER BY id`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Order])
}

// ShipNext marks the oldest open order that nobody else is shipping; false where there is none.
func ShipNext(ctx context.Context, db *pgxpool.Pool) (Order, bool, error) {
	rows, err := db.Query(ctx, `UPDATE orders SET shipped = now() WHERE id = (
		SELECT id FROM orders WHERE shipped IS NULL ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
	) RETURNING id, product, shipped`)
	if err != nil {
		return Order{}, false, err
	}
	order, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Order])
	if errors.Is(err, pgx.ErrNoRows) {
		return Order{}, false, nil
	}
	return order, err == nil, err
}
