// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	_ "github.com/mattn/go-sqlite3"
)

// runSelftest gives the answer, the same on every run of one image, and whether every check passed.
func runSelftest(settings map[string]string, mux *http.ServeMux) ([]byte, bool) {
	checks := map[string]func() (string, error){
		"asset content types": func() (string, error) { return assetTypes(mux) },
		"configuration":       func() (string, error) { return settings["merchant"], nil },
		"database":            database,
		"git":                 gitVersion,
		"lookup by cgo":       func() (string, error) { return lookup(false) },
		"lookup by go":        func() (string, error) { return lookup(true) },
		"openssl":             openssl,
		"port by name":        portByName,
		"receipt":             func() (string, error) { return receipt(settings) },
		"spool":               func() (string, error) { return spool(settings["spool"]) },
		"time zone":           func() (string, error) { return timeZone(settings["zone"]) },
		"tls":                 func() (string, error) { return tlsToOurselves(settings) },
		"user":                userName,
	}
	answer := struct {
		Checks map[string]string `json:"checks"`
		Failed int               `json:"failed"`
	}{Checks: map[string]string{}}
	for name, check := range checks {
		found, err := check()
		if err != nil {
			found = "error: " + err.Error()
			answer.Failed++
		}
		answer.Checks[name] = found
	}
	return toJSON(answer), answer.Failed == 0
}

// readSettings reads "key: value" lines.
func readSettings(path string) (map[string]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	settings := map[string]string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		key, value, found := strings.Cut(lines.Text(), ":")
		if found && !strings.HasPrefix(key, "#") {
			settings[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return settings, nil
}

// The types of these come from /etc/mime.types, not from Go's own short table.
func assetTypes(mux *http.ServeMux) (string, error) {
	var found []string
	for _, name := range []string{"app.js", "fonts/plain.woff2", "rates.csv", "schedule.ics"} {
		recorder := httptest.NewRecorder()
		mux.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/assets/"+name, nil))
		if recorder.Code != http.StatusOK {
			return "", fmt.Errorf("%s: status %d", name, recorder.Code)
		}
		sum := sha256.Sum256(recorder.Body.Bytes())
		found = append(found, fmt.Sprintf("%s %s %x", name, recorder.Header().Get("Content-Type"), sum[:4]))
	}
	return strings.Join(found, ", "), nil
}

func database() (string, error) {
	db, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		return "", err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("create table payment (cents integer); insert into payment values (1999), (2301)"); err != nil {
		return "", err
	}
	var total int
	var version string
	if err := db.QueryRow("select sum(cents), sqlite_version() from payment").Scan(&total, &version); err != nil {
		return "", err
	}
	return fmt.Sprintf("sum %d, sqlite %s", total, version), nil
}

func gitVersion() (string, error) {
	output, err := exec.Command("git", "--version").Output()
	return strings.TrimSpace(string(output)), err
}

func lookup(preferGo bool) (string, error) {
	resolver := net.Resolver{PreferGo: preferGo}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	addresses, err := resolver.LookupIP(ctx, "ip4", "localhost")
	if err != nil {
		return "", err
	}
	return fmt.Sprint("localhost ", addresses[0]), nil
}

// Go's own table does not have this name: it is in /etc/services.
func portByName() (string, error) {
	port, err := net.DefaultResolver.LookupPort(context.Background(), "tcp", "postgresql")
	return fmt.Sprint("postgresql ", port), err
}

// receipt fills a template that is found from the working directory.
func receipt(settings map[string]string) (string, error) {
	page, err := template.ParseFiles(filepath.Join(settings["templates"], "receipt.tmpl"))
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	err = page.Execute(&text, map[string]string{"Merchant": settings["merchant"], "Amount": "43.00"})
	return strings.TrimSpace(text.String()), err
}

func spool(folder string) (string, error) {
	file, err := os.CreateTemp(folder, "payment-")
	if err != nil {
		return "", err
	}
	defer os.Remove(file.Name())
	return "writable", file.Close()
}

func timeZone(name string) (string, error) {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return "", err
	}
	return time.Date(2024, 7, 1, 12, 0, 0, 0, time.UTC).In(zone).Format(time.RFC1123), nil
}

// tlsToOurselves connects to a server whose certificate comes from the company's CA; the client has only the
// system's roots.
func tlsToOurselves(settings map[string]string) (string, error) {
	certificate, err := tls.LoadX509KeyPair(settings["certificate"], settings["key"])
	if err != nil {
		return "", err
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		return "", err
	}
	defer listener.Close()
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		connection.(*tls.Conn).Handshake()
		connection.Close()
	}()
	connection, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{ServerName: settings["hostname"]})
	if err != nil {
		return "", err
	}
	defer connection.Close()
	chain := connection.ConnectionState().VerifiedChains[0]
	return "trusts " + chain[len(chain)-1].Subject.CommonName, nil
}

func userName() (string, error) {
	account, err := user.Current()
	if err != nil {
		return "", err
	}
	return account.Username, nil
}
