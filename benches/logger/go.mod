module orchestra.example/logger

go 1.22
