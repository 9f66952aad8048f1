// SPDX-License-Identifier: Apache-2.0
// A service that links the AWS and Google client libraries, with their credential processes, which it never runs.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"cloud.google.com/go/auth/credentials"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
)

func selftest(out http.ResponseWriter, request *http.Request) {
	answer := map[string]any{}
	loaded, err := config.LoadDefaultConfig(context.Background(), config.WithRegion("eu-north-1"))
	answer["aws"] = fmt.Sprint(err, loaded.Region)
	if command := os.Getenv("CREDENTIAL_PROCESS"); command != "" {
		answer["process"] = processcreds.NewProvider(command) != nil
	}
	os.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent")
	_, err = credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{"x"}})
	answer["google"] = fmt.Sprint(err)
	zone, err := time.LoadLocation("Europe/Stockholm")
	answer["zone"] = fmt.Sprint(zone, err)
	json.NewEncoder(out).Encode(answer)
}

func main() {
	http.HandleFunc("/healthz", func(out http.ResponseWriter, _ *http.Request) { fmt.Fprintln(out, "ok") })
	http.HandleFunc("/selftest", selftest)
	if err := http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
