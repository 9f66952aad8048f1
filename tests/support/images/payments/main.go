// SPDX-License-Identifier: Apache-2.0

// Payments is the service of the test images: it uses at run time what services use - libraries found by the
// loader, libraries opened by name, programs, data files, configuration - and says what it found.
package main

import (
	"embed"
	"encoding/json"
	"flag"
	"io/fs"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

//go:embed web
var web embed.FS

func init() {
	// Before the first look-up: resolvers that do not ask for Go's own use the C library's.
	os.Setenv("GODEBUG", "netdns=cgo")
}

func main() {
	selftest := flag.Bool("selftest", false, "print the answer of /selftest and exit")
	config := flag.String("config", "/etc/payments/config.yaml", "configuration file")
	flag.Parse()

	settings, err := readSettings(*config)
	if err != nil {
		log.Fatal(err)
	}
	mux := handlers(settings)
	if *selftest {
		answer, ok := runSelftest(settings, mux)
		os.Stdout.Write(answer)
		if !ok {
			os.Exit(1)
		}
		return
	}

	port := os.Getenv("PORT")
	if port == "" {
		port = settings["port"]
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		os.Exit(0)
	}()
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, mux))
}

func handlers(settings map[string]string) *http.ServeMux {
	assets, err := fs.Sub(web, "web")
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/assets/", http.StripPrefix("/assets/", http.FileServer(http.FS(assets))))
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte("{\"status\": \"ok\"}\n"))
	})
	mux.HandleFunc("/receipt", func(w http.ResponseWriter, _ *http.Request) {
		page, err := receipt(settings)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write([]byte(page))
	})
	mux.HandleFunc("/selftest", func(w http.ResponseWriter, _ *http.Request) {
		answer, ok := runSelftest(settings, mux)
		w.Header().Set("Content-Type", "application/json")
		if !ok {
			w.WriteHeader(http.StatusInternalServerError)
		}
		w.Write(answer)
	})
	return mux
}

func toJSON(value any) []byte {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		log.Fatal(err)
	}
	return append(text, '\n')
}
