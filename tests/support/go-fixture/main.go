// SPDX-License-Identifier: Apache-2.0

// A small service: embedded files over TCP, a host and a user name looked up.
package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"

	"example.org/fixture/internal/first"
	"example.org/fixture/internal/native"
	"example.org/fixture/internal/second"
	yaml "example.org/fixture/yaml.v3"
	"example.org/part"
)

//go:embed static
var static embed.FS

//go:embed go.mod
var single embed.FS

func init() { names = append(names, yaml.Text("main")) }

var names []string

func list() {
	for _, tree := range []embed.FS{static, single} {
		fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				content, _ := tree.ReadFile(path)
				fmt.Println(path, len(content))
			}
			return err
		})
	}
}

func serve(address string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		owner, _ := user.Current()
		hosts, _ := net.LookupHost("localhost")
		json.NewEncoder(connection).Encode(map[string]interface{}{
			"owner": owner, "hosts": hosts, "count": first.Count + second.Count + native.Twice(len(names)), "home": part.Home})
		connection.Close()
	}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		serve("127.0.0.1:0")
		return
	}
	list()
}
