// SPDX-License-Identifier: Apache-2.0

// Package part is a module of its own, replaced by a folder.
package part

import "os"

// Home is set before main.
var Home = os.Getenv("HOME")

func init() { Home += "/" }
