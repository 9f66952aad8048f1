// SPDX-License-Identifier: Apache-2.0

// Package first has two init functions and an initialised variable.
package first

import "os"

// Count is what the init functions have added up.
var Count = len(os.Args)

func init() { Count++ }
func init() { Count += 2 }
