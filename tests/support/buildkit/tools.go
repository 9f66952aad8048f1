//go:build tools

// Package tools names the programs that tests/support/buildkit.sh builds.
package tools

import (
	_ "github.com/moby/buildkit/cmd/buildctl"
	_ "github.com/moby/buildkit/cmd/buildkitd"
)
