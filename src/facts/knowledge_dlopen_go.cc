// SPDX-License-Identifier: Apache-2.0
// Go packages that load libraries by name.
#include "src/facts/knowledge_tables.h"

namespace imgslim {

namespace {

using Kind = KnowledgeKind;

const std::vector<KnowledgeRow> kRows = {
    {.kind = Kind::kGoPackage,
     .key = "vendor/github.com/golang-fips/openssl/...",
     .names = {"libcrypto.so.3", "libcrypto.so.1.1", "libcrypto.so.11", "libcrypto.so.111",
               "libcrypto.so.1.0.2", "libcrypto.so.1.0.0", "libcrypto.so.10"},
     .paths = {"{LIB}/ossl-modules/*.so"},
     .variables = {"GO_OPENSSL_VERSION_OVERRIDE", "GOLANG_FIPS"},
     .trigger = "start of the program; it panics if none is there",
     .source = "golang-fips/go patches/003-init-openssl-v2-backend.patch, microsoft/go "
               "patches/0004-Add-OpenSSL-crypto-backend.patch: the releases' own list; a program that takes "
               "the module itself names the library"},
    {.kind = Kind::kGoPackage,
     .key = "vendor/github.com/microsoft/go-crypto-openssl/...",
     .names = {"libcrypto.so.4", "libcrypto.so.3", "libcrypto.so.1.1", "libcrypto.so.11", "libcrypto.so.111",
               "libcrypto.so"},
     .paths = {"{LIB}/ossl-modules/*.so"},
     .variables = {"GO_OPENSSL_VERSION_OVERRIDE", "GOFIPS"},
     .trigger = "start of the program; it panics if none is there",
     .source = "microsoft/go patches, opensslsetup; go-crypto-openssl osslsetup/osslsetup.go: tested with "
               "OpenSSL 1.1.1, 3 and 4"},
    {.kind = Kind::kGoPackage,
     .key = "crypto/internal/backend/internal/opensslsetup",
     .names = {"libcrypto.so.4", "libcrypto.so.3", "libcrypto.so.1.1", "libcrypto.so.11", "libcrypto.so.111",
               "libcrypto.so"},
     .paths = {"{LIB}/ossl-modules/*.so"},
     .variables = {"GO_OPENSSL_VERSION_OVERRIDE", "GOFIPS"},
     .trigger = "start of the program; it panics if none is there",
     .source = "microsoft/go patches, opensslsetup; go-crypto-openssl osslsetup/osslsetup.go: tested with "
               "OpenSSL 1.1.1, 3 and 4"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/NVIDIA/go-nvml/...",
     .names = {"libnvidia-ml.so.1"},
     .trigger = "brought in by the container runtime with the driver",
     .missing_handled = true,
     .source = "github.com/NVIDIA/go-nvml@v0.12.4-1 pkg/nvml/lib.go:103, init.go:20: Init returns "
               "ERROR_LIBRARY_NOT_FOUND"},
};

}  // namespace

const std::vector<KnowledgeRow>& rows_of_dlopen_go() {
  return kRows;
}

}  // namespace imgslim
