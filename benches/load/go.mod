module orchestra.example/load

go 1.22
