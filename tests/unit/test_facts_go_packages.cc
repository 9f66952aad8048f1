// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <utility>

#include "src/facts/go_binary.h"

using namespace imgslim;

TEST_CASE("go package of a function name") {
  const std::pair<const char*, const char*> cases[] = {
      {"main.main", "main"},
      {"net/http.(*Server).Serve", "net/http"},
      {"net/http.(*Server).Serve.func1", "net/http"},
      {"net/http.Serve.func1.2", "net/http"},
      {"net/http.glob..func5", "net/http"},
      {"net/http.(*conn).serve-fm", "net/http"},
      {"gopkg.in/yaml%2ev3.Unmarshal", "gopkg.in/yaml.v3"},
      {"github.com/a%22b/c.F", "github.com/a\"b/c"},
      {"example.org/a%zz.F", "example.org/a%zz"},
      {"vendor/golang.org/x/net/idna.init", "vendor/golang.org/x/net/idna"},
      {"github.com/docker/cli/vendor/github.com/miekg/pkcs11.New",
       "github.com/docker/cli/vendor/github.com/miekg/pkcs11"},
      {"slices.SortFunc[go.shape.[]example.org/x/y.T,go.shape.struct { net/http.a int }]", "slices"},
      {"example.org/a.(*List[go.shape.*net/http.Cookie]).Add", "example.org/a"},
      {"example.org/a.F[...].func1", "example.org/a"},
      {"go.uber.org/zap.New", "go.uber.org/zap"},
      {"go.opentelemetry.io/otel/trace.(*span).End", "go.opentelemetry.io/otel/trace"},
      {"type:.eq.net/http.http2Setting", "net/http"},
      {"type..hash.net/http.http2Setting", "net/http"},
      {"type:.eq.[2]string", ""},
      {"type:.eq.struct { net/http.a int; b string }", ""},
      {"type..eq.example.org/a.Pair[int,net/http.T]", "example.org/a"},
      {"go:buildid", ""},
      {"go.buildid", ""},
      {"go.(*struct { sync.Mutex; math/big.table [64]math/big.divisor }).Lock", ""},
      {"go:(*struct { sync.Mutex }).Lock", ""},
      {"struct { io.Reader; net/http.x }.Read", ""},
      {"memeqbody", ""},
      {"_cgo_topofstack", ""},
      {"_rt0_amd64_linux", ""},
      {"runtime/cgo._cgo_panic", "runtime/cgo"},
      {"", ""},
  };
  for (const auto& item : cases) {
    CAPTURE(item.first);
    CHECK(go_package_of(item.first) == item.second);
  }
}
