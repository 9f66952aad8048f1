// SPDX-License-Identifier: Apache-2.0

//go:build !native
// +build !native

package native

// Twice calls no C.
func Twice(value int) int { return 2 * value }
