// SPDX-License-Identifier: Apache-2.0

//go:build native
// +build native

// Package native calls C code of its own.
package native

// static int twice(int value) { return 2 * value; }
import "C"

// Twice calls C.
func Twice(value int) int { return int(C.twice(C.int(value))) }
