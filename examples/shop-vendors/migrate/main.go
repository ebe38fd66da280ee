// Migrate makes the tables and ends.
package main

import (
	"log"

	"example.com/shop-vendors/shop"
)

func main() {
	ctx, stop := shop.Interrupted()
	defer stop()
	db, err := shop.Database(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := shop.Migrate(ctx, db); err != nil {
		log.Fatal(err)
	}
	log.Print("the tables are there")
}
