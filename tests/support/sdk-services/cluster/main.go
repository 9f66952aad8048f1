// SPDX-License-Identifier: Apache-2.0
// A service that links Kubernetes' client with its credential plugins and Docker's credential helpers.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/transport"
)

func selftest(out http.ResponseWriter, request *http.Request) {
	answer := map[string]any{}
	_, err := rest.InClusterConfig()
	answer["cluster"] = fmt.Sprint(err)
	settings := &rest.Config{Host: "127.0.0.1:1", ExecProvider: &api.ExecConfig{
		Command: os.Getenv("PLUGIN"), APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: api.NeverExecInteractiveMode}}
	wrapped, err := settings.TransportConfig()
	answer["plugin"] = fmt.Sprint(err)
	if err == nil {
		_, err = transport.New(wrapped)
		answer["transport"] = fmt.Sprint(err)
	}
	found, err := authn.DefaultKeychain.Resolve(registry("registry.example.org"))
	answer["registry"] = fmt.Sprint(found == authn.Anonymous, err)
	zone, err := time.LoadLocation("Europe/Stockholm")
	answer["zone"] = fmt.Sprint(zone, err)
	json.NewEncoder(out).Encode(answer)
}

type registry string

func (r registry) String() string      { return string(r) }
func (r registry) RegistryStr() string { return string(r) }

func main() {
	http.HandleFunc("/healthz", func(out http.ResponseWriter, _ *http.Request) { fmt.Fprintln(out, "ok") })
	http.HandleFunc("/selftest", selftest)
	if err := http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
