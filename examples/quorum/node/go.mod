module example.com/quorum/node

go 1.22
