module example.org/fixture

go 1.16

require example.org/part v1.2.3

replace example.org/part v1.2.3 => ./part
