// SPDX-License-Identifier: Apache-2.0

// Package second runs after first.
package second

import "example.org/fixture/internal/first"

// Count builds on first.Count.
var Count int

func init() { Count = first.Count * 2 }
