// SPDX-License-Identifier: Apache-2.0

package main

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void *open_libcrypto(void) {
  static const char *const versions[] = {"3", "1.1", "11", "1.0.2", "1.0.0"};
  for (size_t i = 0; i < sizeof versions / sizeof *versions; ++i) {
    char name[32];
    snprintf(name, sizeof name, "libcrypto.so.%s", versions[i]);
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (handle != NULL) return handle;
  }
  return NULL;
}

// OPENSSL_INIT_LOAD_CONFIG
static int load_config(void *libcrypto) {
  int (*init)(uint64_t, const void *) = dlsym(libcrypto, "OPENSSL_init_crypto");
  return init != NULL && init(0x40, NULL);
}

static int load_provider(void *libcrypto, const char *name) {
  void *(*load)(void *, const char *) = dlsym(libcrypto, "OSSL_PROVIDER_load");
  return load != NULL && load(NULL, name) != NULL;
}

static int has_digest(void *libcrypto, const char *name) {
  void *(*fetch)(void *, const char *, const char *) = dlsym(libcrypto, "EVP_MD_fetch");
  return fetch != NULL && fetch(NULL, name, NULL) != NULL;
}

static int knows_object(void *libcrypto, const char *text) {
  int (*find)(const char *) = dlsym(libcrypto, "OBJ_txt2nid");
  return find != NULL && find(text) != 0;
}

static const char *version(void *libcrypto) {
  const char *(*text)(int) = dlsym(libcrypto, "OpenSSL_version");
  return text == NULL ? "" : text(0);
}
*/
import "C"

import (
	"errors"
	"unsafe"
)

// openssl opens libcrypto as services do that must run with whichever version an image has.
func openssl() (string, error) {
	libcrypto := C.open_libcrypto()
	if libcrypto == nil {
		return "", errors.New("no libcrypto")
	}
	if C.load_config(libcrypto) == 0 {
		return "", errors.New("no configuration")
	}
	legacy, digest, object := C.CString("legacy"), C.CString("MD4"), C.CString("paymentsPolicy")
	defer C.free(unsafe.Pointer(legacy))
	defer C.free(unsafe.Pointer(digest))
	defer C.free(unsafe.Pointer(object))
	if C.load_provider(libcrypto, legacy) == 0 || C.has_digest(libcrypto, digest) == 0 {
		return "", errors.New("no legacy provider")
	}
	if C.knows_object(libcrypto, object) == 0 {
		return "", errors.New("openssl.cnf is not the edited one")
	}
	return C.GoString(C.version(libcrypto)) + ", legacy provider, edited openssl.cnf", nil
}
