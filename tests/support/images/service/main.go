// SPDX-License-Identifier: Apache-2.0

// Service is the small service of the test images: one source, linked static, as PIE, against musl, for another
// architecture. What it answers depends on data files only.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log"
	"mime"
	"net"
	"net/http"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"text/template"
	"time"
)

// Set by the linker: where an image keeps the configuration.
var configPath = "/etc/service/config.yaml"

func main() {
	settings, err := readSettings(configPath)
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte("{\"status\": \"ok\"}\n"))
	})
	http.HandleFunc("/selftest", func(w http.ResponseWriter, _ *http.Request) {
		answer, err := json.MarshalIndent(selftest(settings), "", "  ")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(append(answer, '\n'))
	})
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		os.Exit(0)
	}()
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}

// readSettings reads "key: value" lines.
func readSettings(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	settings := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if key, value, found := strings.Cut(line, ":"); found && !strings.HasPrefix(key, "#") {
			settings[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return settings, nil
}

func selftest(settings map[string]string) map[string]string {
	answer := map[string]string{
		"csv":      mime.TypeByExtension(".csv"),
		"greeting": os.Getenv("GREETING"),
		"lookup":   orError(lookup),
		"page":     orError(func() (string, error) { return page(settings) }),
		"user":     orError(userName),
		"zone":     orError(func() (string, error) { return zoneTime(settings["zone"]) }),
	}
	return answer
}

func orError(check func() (string, error)) string {
	found, err := check()
	if err != nil {
		return "error: " + err.Error()
	}
	return found
}

func lookup() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupIP(ctx, "ip4", "localhost")
	if err != nil {
		return "", err
	}
	return addresses[0].String(), nil
}

// page fills the template in the folder that the configuration names.
func page(settings map[string]string) (string, error) {
	parsed, err := template.ParseFiles(filepath.Join(settings["templates"], "page.tmpl"))
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	err = parsed.Execute(&text, settings)
	return strings.TrimSpace(text.String()), err
}

func userName() (string, error) {
	account, err := user.Current()
	if err != nil {
		return "", err
	}
	return account.Username, nil
}

func zoneTime(name string) (string, error) {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return "", err
	}
	return time.Date(2024, 7, 1, 12, 0, 0, 0, time.UTC).In(zone).Format(time.RFC1123), nil
}
