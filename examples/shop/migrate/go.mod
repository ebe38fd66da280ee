module example.com/shop/migrate

go 1.22
