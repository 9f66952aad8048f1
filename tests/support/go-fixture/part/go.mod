module example.org/part

go 1.16
