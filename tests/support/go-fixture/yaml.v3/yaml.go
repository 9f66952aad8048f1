// SPDX-License-Identifier: Apache-2.0

// Package yaml has a dot in the last part of its path.
package yaml

import "os"

// Name is set before main.
var Name string

func init() { Name = os.Getenv("FIXTURE_NAME") }

// Text keeps a function of this package in the program.
//go:noinline
func Text(value string) string { return "- " + value + Name }
